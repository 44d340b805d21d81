use wsworker::prelude::*;

#[worker(idle_timeout = 120, handshake_timeout = "10 potatoes")]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
