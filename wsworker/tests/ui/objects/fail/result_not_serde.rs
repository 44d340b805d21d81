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
    async fn history(&mut self, last: usize) -> Result<Vec<Line>> {
        let _ = last;
        Ok(Vec::new())
    }
}

fn main() {}
