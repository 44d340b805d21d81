use wsworker::prelude::*;

#[worker(slow = "drop")]
#[derive(Clone)]
struct Before;

impl Worker for Before {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

#[derive(Clone)]
#[worker(slow = "drop")]
struct After;

impl Worker for After {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let _ = (Server::new(Before), Server::new(After));
}
