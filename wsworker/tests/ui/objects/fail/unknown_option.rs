use wsworker::prelude::*;

#[durable_object(hibernate = "10s", alarm = "1m")]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
