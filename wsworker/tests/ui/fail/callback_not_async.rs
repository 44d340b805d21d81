use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
