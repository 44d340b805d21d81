//! Rooms by their path: each sends a message on to all who are in it, the sender too.
//! Stores nothing: `wsworker-scale` looks how many members a machine holds.

use wsworker::prelude::*;
use wsworker_bench::scale::children::die_with_parent;

#[worker(objects(Room))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let room = env.durable_object::<Room>().get_by_name(req.path());
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

    async fn on_message(&mut self, _ws: &WebSocket, message: Message) -> Result<()> {
        self.ctx.sockets().broadcast(message);
        Ok(())
    }
}

fn main() -> Result<()> {
    die_with_parent().map_err(Error::from_std)?;
    wsworker::run(Site)
}
