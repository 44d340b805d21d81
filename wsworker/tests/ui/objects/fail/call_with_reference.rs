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
    async fn say(&mut self, line: &str, to: Option<&[String]>) -> Result<usize> {
        let _ = to;
        Ok(line.len())
    }
}

fn main() {}
