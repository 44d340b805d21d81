//! Sends every message back to whoever sent it.
//!
//! Run it with `cargo run --example echo`.

use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() -> Result<()> {
    wsworker::run(Echo)
}
