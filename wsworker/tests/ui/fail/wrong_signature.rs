use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: String) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
