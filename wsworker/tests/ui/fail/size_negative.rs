use wsworker::prelude::*;

#[worker(max_message = -1)]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
