use wsworker::prelude::*;

#[durable_object]
struct Room(ObjectContext);

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room(ctx))
    }

    async fn on_message(&mut self, _: &WebSocket, _: Message) -> Result<()> {
        let storage = self.0.storage();
        self.0.wait_until(async move { storage.put("k", "v") })
    }
}

fn main() {}
