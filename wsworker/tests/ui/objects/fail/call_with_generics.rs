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
    async fn say<T: ToString>(&mut self, line: T) -> Result<usize> {
        Ok(line.to_string().len())
    }
}

fn main() {}
