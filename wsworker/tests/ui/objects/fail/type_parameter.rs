use wsworker::prelude::*;

#[durable_object]
struct Room<T>(T);

impl<T: Default + Send + 'static> DurableObject for Room<T> {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room(T::default()))
    }
}

fn main() {}
