//! The user's own names do not change what the attribute means.

use wsworker::{Message, WebSocket, Worker, worker};

type Result<T> = std::result::Result<T, wsworker::Error>;

#[allow(dead_code)]
#[derive(Clone)]
enum Option {
    None,
    Some,
}

#[allow(dead_code)]
mod core {}

#[allow(dead_code)]
mod wsworker_macros {}

#[worker(max_message = "1 KiB", slow = "drop", idle_timeout = "1s")]
#[derive(Clone)]
struct Options(Option);

impl Worker for Options {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let _ = wsworker::Server::new(Options(Option::None));
}
