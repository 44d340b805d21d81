use wsworker::prelude::*;

#[durable_object(max_sockets = 0, max_tags = "ten", max_value = "1 GiB")]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

fn main() {}
