use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

#[worker(objects(Room, Room))]
#[derive(Clone)]
struct Site;

impl Worker for Site {}

fn main() {}
