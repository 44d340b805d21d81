use wsworker::prelude::*;

#[worker(protocols("chat v1", "chat.v1", "chat.v1"))]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
