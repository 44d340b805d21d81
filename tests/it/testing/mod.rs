//! Tests of the test kit: the same ones in memory, with paused time, and over TCP.

mod ends;
mod errors;
mod readme;
mod requests;
mod sockets;
mod time;

use std::sync::{Arc, Mutex};

use wsworker::prelude::*;
use wsworker::testing::Via;

use crate::server::within;

/// Runs a test both ways.
fn both(test: impl AsyncFn(Via) -> Result<()> + Copy + Send + 'static) {
    in_memory(test);
    within(async move || test(Via::Tcp).await.unwrap());
}

fn in_memory(test: impl AsyncFn(Via) -> Result<()> + Send + 'static) {
    within(async move || {
        tokio::time::pause();
        test(Via::Memory).await.unwrap();
    });
}

/// A worker with a page, an echo, and a list of what it heard.
#[worker(protocols("chat.v2", "chat.v1"), origins("https://friend.example"))]
#[derive(Clone, Default)]
struct House {
    heard: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn note(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

#[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
struct Order {
    tea: u32,
}

impl Worker for House {
    async fn fetch(&mut self, mut req: Request, env: &Env) -> Result<Response> {
        match req.path() {
            "/" => Ok(Response::html("<h1>a house</h1>")),
            "/url" => Ok(Response::text(req.url())),
            "/from" => Ok(Response::text(format!("{:?}", req.remote_addr()))),
            "/var" => Ok(Response::text(env.var("COLOUR")?.to_owned())),
            "/away" => Response::redirect("http://worker.test/", 302),
            "/fail" => Err(Error::new("secret")),
            "/order" => {
                let order: Order = req.json().await?;
                Response::json(&Order { tea: order.tea + 1 })
            }
            "/ws" => Ok(req.upgrade()?.accept()),
            _ => Response::error("Not found", 404),
        }
    }

    async fn on_open(&mut self, _ws: &WebSocket, req: &Request) -> Result<()> {
        self.note(format!("open {}", req.path()));
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        match message.as_text() {
            Some("panic") => panic!("as it was told"),
            Some("fail") => Err(Error::new("as it was told")),
            Some("kick") => ws.close_with(4001, "kicked"),
            Some("bare") => ws.close(),
            Some("order") => ws.send(r#"{"tea":7}"#),
            Some("wait") => {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                ws.send("waited")
            }
            Some("kick later") => {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                ws.close_with(4001, "kicked")
            }
            _ => ws.send(message),
        }
    }

    async fn on_close(&mut self, _ws: &WebSocket, close: CloseEvent) {
        self.note(format!("close {} {}", close.code, close.reason));
    }
}
