use std::rc::Rc;

use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

#[durable_object]
impl Room {
    #[call]
    async fn count(&mut self) -> Result<usize> {
        let count = Rc::new(1);
        std::future::ready(()).await;
        Ok(*count)
    }
}

fn main() {}
