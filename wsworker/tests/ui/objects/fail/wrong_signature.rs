use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
