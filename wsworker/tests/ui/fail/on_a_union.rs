use wsworker::prelude::*;

#[worker]
#[derive(Clone, Copy)]
union Echo {
    small: u8,
    large: u64,
}

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
