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
    #[call]
    async fn history(&mut self, last: usize) -> Result<usize> {
        Ok(last)
    }
}

async fn ask(room: RoomStub) -> Result<usize> {
    room.history("20").await
}

fn main() {}
