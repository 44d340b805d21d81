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
    async fn fetch(&mut self, path: String) -> Result<usize> {
        Ok(path.len())
    }

    #[call]
    async fn id(&mut self) -> Result<usize> {
        Ok(1)
    }

    #[call]
    async fn call(&mut self) -> Result<usize> {
        Ok(1)
    }
}

fn main() {}
