use wsworker::prelude::*;

#[durable_object]
#[durable_object(name = "room")]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
