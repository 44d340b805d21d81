use wsworker::prelude::*;

#[durable_object]
struct Room<'a>(&'a str);

impl<'a> DurableObject for Room<'a> {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room("lobby"))
    }
}

fn main() {}
