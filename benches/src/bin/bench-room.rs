//! A room, which sends each message on to everybody else in it.
//! Stores nothing: `wsworker-compare` looks what a delivery costs, `wsworker-memory` what a member does.

use wsworker::prelude::*;

#[worker(objects(Room))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let room = env.durable_object::<Room>().get_by_name("lobby");
        room.fetch(req).await
    }
}

#[durable_object]
struct Room {
    ctx: ObjectContext,
}

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.ctx.sockets().except(ws).broadcast(message);
        Ok(())
    }
}

fn main() -> Result<()> {
    wsworker::run(Site)
}
