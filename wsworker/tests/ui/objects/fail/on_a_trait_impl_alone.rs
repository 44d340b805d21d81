use wsworker::prelude::*;

struct Room;

#[durable_object]
impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
