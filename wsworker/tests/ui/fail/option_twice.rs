use wsworker::prelude::*;

#[worker(slow = "close", idle_timeout = "2m", slow = "drop")]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
