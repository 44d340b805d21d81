//! An echo whose handler keeps 16 KiB across an await, so that its future is at least as large.
//! Does nothing useful with them: `wsworker-memory` looks whether an idle connection pays for it.

use std::hint::black_box;

use wsworker::prelude::*;

const KEPT: usize = 16 * 1024;

#[worker]
#[derive(Clone)]
struct BigFuture;

impl Worker for BigFuture {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let mut kept = [0u8; KEPT];
        black_box(&mut kept)[0] = message.len() as u8;
        ws.ready().await?;
        // Looked at after the await: the compiler has to keep all of it in the future.
        black_box(&kept);
        ws.send(message)
    }
}

fn main() -> Result<()> {
    wsworker::run(BigFuture)
}
