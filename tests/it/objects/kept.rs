//! A class with `failed = "keep"`: its sockets go on after events that failed.

use super::storage::Scripted;
use super::*;
use crate::raw::{Frame, RawClient};
use crate::server::{Served, within};

/// Counts, and says what went wrong.
#[durable_object(failed = "keep")]
struct Patient {
    ctx: ObjectContext,
}

impl DurableObject for Patient {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let storage = self.ctx.storage();
        let count = storage.get::<u32>("count").await?.unwrap_or(0) + 1;
        storage.put("count", &count)?;
        ws.send(count.to_string())?;
        match message.as_text() {
            Some("fail") => Err(Error::new("as told")),
            Some("panic") => panic!("as told"),
            _ => Ok(()),
        }
    }

    async fn on_error(&mut self, ws: &WebSocket, error: &Error) {
        let _ = ws.send(format!("error: {error}"));
    }
}

#[worker(objects(Patient))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let patient = env.durable_object::<Patient>().get_by_name("a");
        patient.fetch(req).await
    }
}

async fn served(storage: impl Storage) -> (Served, RawClient) {
    let served = Served::start_with(Site, |server| server.storage(storage)).await;
    let client = RawClient::open(served.addr).await;
    (served, client)
}

#[test]
fn a_socket_that_is_kept_hears_of_the_error_and_nothing_of_its_event() {
    within(async || {
        let (_served, mut client) = served(Scripted::open()).await;
        let messages = ["incr", "fail", "incr", "panic", "incr"];
        client.send_all(messages.map(Frame::text)).await;
        client.expect_text("1").await;
        client
            .expect_text("error: Patient.on_message: as told")
            .await;
        client.expect_text("2").await;
        client
            .expect_text("error: Patient.on_message: panicked: as told")
            .await;
        client.expect_text("3").await;
        client.close().await;
    });
}

#[test]
fn a_socket_that_is_kept_hears_of_each_event_whose_commit_failed() {
    within(async || {
        let storage = Scripted::held();
        let (_served, mut client) = served(storage.clone()).await;
        client.send_all(["incr"; 3].map(Frame::text)).await;
        crate::server::eventually("the commit begins", || storage.commits() == 1).await;
        // Its own failure, besides the undone ones that it builds on.
        client.send(Frame::text("fail")).await;
        client.send(Frame::ping("heard")).await;
        client.expect_pong(b"heard").await;
        storage.fail(true);
        storage.let_go(1);
        for _ in 0..4 {
            let told = client.read_frame().await;
            assert!(told.text().starts_with("error: "), "{told:?}");
        }
        storage.fail(false);
        storage.let_go(10);
        client.send(Frame::text("incr")).await;
        client.expect_text("1").await;
        client.close().await;
    });
}
