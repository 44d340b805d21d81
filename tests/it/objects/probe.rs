//! An object whose events a test writes, as closures over its value.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use wsworker::__private::Called;
use wsworker::Stub;
use wsworker::prelude::*;
use wsworker::storage::Storage;
use wsworker::testing::{TestServer, Via};

/// Its sockets say what it does: `incr`, `fail`, `sleep MILLIS`. It tells all of them
/// who was opened, failed and left.
#[durable_object]
pub struct Probe {
    pub ctx: ObjectContext,
    pub env: Env,
    /// Events of this value.
    pub events: usize,
}

impl DurableObject for Probe {
    async fn new(ctx: ObjectContext, env: Env) -> Result<Self> {
        let events = 0;
        Ok(Self { ctx, env, events })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        if req.path().ends_with("/written") {
            self.ctx.storage().put("joined", &true)?;
        }
        Ok(req.upgrade()?.accept())
    }

    async fn on_open(&mut self, _: &WebSocket, req: &Request) -> Result<()> {
        if req.path().ends_with("/written") {
            self.ctx.sockets().broadcast("opened");
        }
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.events += 1;
        match message.as_text().unwrap().split_once(' ') {
            None if message.as_text() == Some("incr") => {
                let count = self.ctx.storage().get::<u32>("count").await?.unwrap_or(0) + 1;
                self.ctx.storage().put("count", &count)?;
                ws.send(count.to_string())
            }
            Some(("say", text)) => ws.send(text),
            Some(("sleep", millis)) => {
                tokio::time::sleep(std::time::Duration::from_millis(millis.parse()?)).await;
                ws.send(format!("slept {millis}"))
            }
            _ => Err(Error::new("as asked")),
        }
    }

    async fn on_close(&mut self, _: &WebSocket, close: CloseEvent) {
        self.ctx.sockets().broadcast(format!("left {}", close.code));
    }

    async fn on_error(&mut self, _: &WebSocket, error: &Error) {
        self.ctx.sockets().broadcast(format!("error: {error}"));
    }
}

/// Sends each request to the object that its path names first: `/a/…`.
#[worker]
pub struct Site<T>(Arc<Mutex<Option<Env>>>, PhantomData<fn() -> T>);

impl<T> Clone for Site<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T> Worker for Site<T>
where
    T: DurableObject,
    T::Stub: Deref<Target = Stub<T>> + Send + Sync,
{
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        if req.path() == "/" {
            *self.0.lock().unwrap() = Some(env.clone());
            return Ok(Response::text("here"));
        }
        let name = req.path().split('/').nth(1).unwrap_or_default().to_owned();
        let stub = env.durable_object::<T>().get_by_name(&name);
        stub.fetch(req).await
    }
}

/// A server of objects of this class, and its surroundings.
pub async fn serve<T>(storage: impl Storage) -> (TestServer, Env)
where
    T: DurableObject,
    T::Stub: Deref<Target = Stub<T>> + Send + Sync,
{
    let env = Arc::default();
    let site = Site::<T>(Arc::clone(&env), PhantomData);
    let server = Server::new(site).object::<T>().storage(storage);
    let server = TestServer::start(server, Via::Memory).await.unwrap();
    server.fetch("/").await.unwrap();
    let env = env.lock().unwrap().take();
    (server, env.unwrap())
}

/// Runs an event of a probe's.
pub fn event<R, F>(
    env: &Env,
    name: &str,
    event: F,
) -> impl Future<Output = Result<R>> + Send + use<R, F>
where
    R: Send + 'static,
    F: for<'a> FnOnce(&'a mut Probe) -> Called<'a, R> + Send + 'static,
{
    let probe = env.durable_object::<Probe>().get_by_name(name);
    async move {
        let called = probe.call(move |probe| {
            probe.events += 1;
            event(probe)
        });
        called.await
    }
}
