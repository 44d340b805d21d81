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
    async fn say(&mut self, (line, _): (String, u8), _: u8) -> Result<usize> {
        Ok(line.len())
    }
}

fn main() {}
