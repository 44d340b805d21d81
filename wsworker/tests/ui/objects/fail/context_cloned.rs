use wsworker::prelude::*;

#[durable_object]
struct Room(ObjectContext);

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Room(ctx))
    }

    async fn on_message(&mut self, _: &WebSocket, _: Message) -> Result<()> {
        let ctx = self.0.clone();
        self.0.wait_until(async move { ctx.storage().put("k", "v") })
    }
}

fn main() {}
