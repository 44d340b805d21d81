use wsworker::prelude::*;

struct Line;

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
    async fn say(&mut self, to: String, line: Line) -> Result<()> {
        let _ = (to, line);
        Ok(())
    }
}

fn main() {}
