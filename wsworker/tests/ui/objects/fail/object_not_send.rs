use std::rc::Rc;

use wsworker::prelude::*;

#[durable_object]
struct Room(Rc<u8>);

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room(Rc::new(1)))
    }
}

fn main() {}
