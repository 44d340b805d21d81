use wsworker::prelude::*;

struct Room<T>(T);

#[durable_object]
impl<T> Room<T> {
    #[call]
    async fn count(&mut self) -> Result<usize> {
        Ok(1)
    }
}

fn main() {}
