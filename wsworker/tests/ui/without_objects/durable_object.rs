use wsworker::prelude::*;

#[durable_object]
struct Room;

#[durable_object]
impl Room {
    #[call]
    async fn count(&mut self) -> Result<usize> {
        Ok(1)
    }
}

fn main() {}
