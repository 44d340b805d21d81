use std::rc::Rc;

use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo(Rc<u8>);

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
