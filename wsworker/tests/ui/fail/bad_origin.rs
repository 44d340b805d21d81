use wsworker::prelude::*;

#[worker(origins("https://a.example/chat", "a.example", "wss://a.example", "*"))]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
