use wsworker::prelude::*;

#[worker(max_mesage = 1, slow = "block", idle_timeout = "0s", protocols())]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
