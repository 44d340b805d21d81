use std::rc::Rc;

use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let copies = Rc::new(2);
        ws.ready().await?;
        println!("{copies}");
        ws.send(message)
    }
}

fn main() {}
