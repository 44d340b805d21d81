use wsworker::prelude::*;

#[durable_object(hibernate_after = 10, event_timeout = "10 potatoes")]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
