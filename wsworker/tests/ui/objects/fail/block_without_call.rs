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
    async fn count(&mut self) -> Result<usize> {
        Ok(1)
    }
}

fn main() {}
