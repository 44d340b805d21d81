//! Ends that nobody planned: of a storage, of a runtime, of a stack, of an accept.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::timeout;
use wsworker::WebSocketPair;
use wsworker::storage::MemoryStorage;

use super::probe::{Probe, event, serve};
use super::storage::Scripted;
use super::*;

const LONG: Duration = Duration::from_secs(5);

async fn incr(env: &Env) -> Result<u32> {
    let incremented = event(env, "a", |probe| {
        Box::pin(async {
            let storage = probe.ctx.storage();
            let count = storage.get("count").await?.unwrap_or(0) + 1;
            storage.put("count", &count)?;
            Ok(count)
        })
    });
    timeout(LONG, incremented).await.expect("it has its turn")
}

#[tokio::test]
async fn a_storage_that_panics_undoes_what_it_was_given() {
    let storage = Scripted::open();
    let (_server, env) = serve::<Probe>(storage.clone()).await;
    assert_eq!(incr(&env).await.unwrap(), 1);
    storage.panic(true);
    let error = incr(&env).await.unwrap_err().to_string();
    assert!(error.contains("nobody knows"), "{error}");
    storage.panic(false);
    assert_eq!(incr(&env).await.unwrap(), 2);
}

#[tokio::test]
async fn a_runtime_that_ends_undoes_what_it_commits() {
    let storage = Scripted::held();
    let (_server, env) = serve::<Probe>(storage.clone()).await;
    let other = env.clone();
    let elsewhere = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let called = async { timeout(LONG / 50, incr(&other)).await.is_err() };
        runtime.block_on(called)
    });
    assert!(elsewhere.join().unwrap());
    assert_eq!(storage.commits(), 1);
    storage.let_go(10);
    assert_eq!(incr(&env).await.unwrap(), 1);
}

/// With it a call ends that its event waits for, and leaves a last word.
#[tokio::test]
async fn what_an_event_does_as_it_is_cancelled_is_undone() {
    let (server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let other = env.clone();
    let elsewhere = thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let held = event(&other, "a", |probe| {
            Box::pin(async {
                probe.ctx.storage().put("count", &7)?;
                let ws = probe.ctx.sockets().iter().next().unwrap();
                let _last = LastWord(ws);
                std::future::pending::<Result<()>>().await
            })
        });
        runtime.block_on(async { timeout(LONG / 50, held).await.is_err() })
    });
    assert!(elsewhere.join().unwrap());
    assert_eq!(incr(&env).await.unwrap(), 1);
    assert_eq!(ask(&mut ws, "say first").await, "first");
}

struct LastWord(WebSocket);

impl Drop for LastWord {
    fn drop(&mut self) {
        let _ = self.0.send("never");
    }
}

#[test]
fn a_call_without_a_runtime_says_so() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (_server, env) = runtime.block_on(serve::<Probe>(MemoryStorage::new()));
    let called = event(&env, "a", |_| Box::pin(async { Ok(()) }));
    let mut called = std::pin::pin!(called);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = called.as_mut().poll(&mut context) else {
        panic!("it has to fail at once");
    };
    assert!(error.to_string().contains("outside a tokio runtime"));
}

/// Each call is polled within its caller's at first.
#[tokio::test]
async fn a_long_chain_of_calls_has_room_on_the_stack() {
    let (_server, env) = serve::<Probe>(MemoryStorage::new()).await;
    assert_eq!(chain(env, 2_000).await.unwrap(), 2_000);
}

fn chain(env: Env, length: u32) -> Pin<Box<dyn Future<Output = Result<u32>> + Send>> {
    Box::pin(async move {
        if length == 0 {
            return Ok(0);
        }
        let called = event(&env, &length.to_string(), move |probe| {
            let rest = chain(probe.env.clone(), length - 1);
            Box::pin(async { Ok(rest.await? + 1) })
        });
        called.await
    })
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_accept_is_undone_while_it_opens_is_not_heard_of() {
    let (_server, env) = serve::<Hasty>(MemoryStorage::new()).await;
    let hasty = env.durable_object::<Hasty>().get_by_name("a");
    let accepted = hasty.call(|hasty| {
        Box::pin(async {
            let (client, end) = WebSocketPair::new();
            hasty.0.accept(end, ["tag"; 0])?;
            let _client = client.accept();
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            Err::<(), _>(Error::new("as asked"))
        })
    });
    accepted.await.unwrap_err();
    tokio::time::sleep(LONG).await;
    assert_eq!(OPENED.load(Ordering::SeqCst), 0);
}

/// Counts the sockets that open.
#[durable_object]
struct Hasty(ObjectContext);

static OPENED: AtomicUsize = AtomicUsize::new(0);

impl DurableObject for Hasty {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(ctx))
    }

    async fn on_open(&mut self, _: &WebSocket, _: &Request) -> Result<()> {
        OPENED.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
