use wsworker::prelude::*;

#[durable_object]
struct Room;

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room)
    }
}

impl Room {
    async fn history(&mut self) -> Result<usize> {
        Ok(1)
    }
}

async fn ask(room: RoomStub) -> Result<usize> {
    room.history().await
}

fn main() {}
