//! Counts clicks, each connection its own: a page at `/`, its WebSocket at `/ws`.
//! After Cloudflare's `websocket-template`.
//!
//! Run it with `cargo run --example clicks`, then open <http://127.0.0.1:8787/>.

use std::time::SystemTime;

use humantime::format_rfc3339_millis;
use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Clicks {
    /// Of this connection: each has a `Clicks` of its own.
    count: u64,
}

impl Worker for Clicks {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        match req.path() {
            "/" => Ok(Response::html(include_str!("clicks.html"))),
            "/ws" => Ok(req.upgrade()?.accept()),
            _ => Response::error("Not found", 404),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let tz = format_rfc3339_millis(SystemTime::now());
        if message.as_text() == Some("CLICK") {
            self.count += 1;
            let count = self.count;
            return ws.send(format!(r#"{{"count":{count},"tz":"{tz}"}}"#));
        }
        ws.send(format!(
            r#"{{"error":"Unknown message received","tz":"{tz}"}}"#
        ))
    }
}

fn main() -> Result<()> {
    wsworker::run(Clicks { count: 0 })
}
