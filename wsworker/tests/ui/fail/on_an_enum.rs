use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
enum Echo {
    Loud,
}

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
