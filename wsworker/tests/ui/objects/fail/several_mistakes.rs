use wsworker::prelude::*;

#[durable_object(name = "", event_timeout = "0s", size = 1)]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
