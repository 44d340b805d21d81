//! The expansion gives no warnings of its own.
#![deny(warnings, missing_docs, unused_qualifications, unreachable_pub)]

use wsworker::prelude::*;

/// Echoes.
#[worker(
    max_message = "1 MiB",
    slow = "close",
    idle_timeout = "2m",
    protocols("chat.v1")
)]
#[derive(Clone)]
pub struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let _ = Server::new(Echo);
}
