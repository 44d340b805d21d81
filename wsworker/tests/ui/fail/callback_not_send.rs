use std::rc::Rc;

use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let copies = Rc::new(2);
        ws.ready().await?;
        println!("{copies}");
        ws.send(message)
    }
}

fn main() {}
