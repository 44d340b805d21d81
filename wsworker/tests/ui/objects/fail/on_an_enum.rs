use wsworker::prelude::*;

#[durable_object]
enum Room {
    Empty,
}

impl DurableObject for Room {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room::Empty)
    }
}

fn main() {
    let _: Option<RoomStub> = None;
}
