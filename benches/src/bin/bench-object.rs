//! An echo by a Durable Object, which all connections share.
//! Stores nothing: `wsworker-compare` looks what an object's event costs beside a worker's.

use wsworker::prelude::*;

#[worker(objects(Echo))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let echo = env.durable_object::<Echo>().get_by_name("all");
        echo.fetch(req).await
    }
}

#[durable_object]
struct Echo;

impl DurableObject for Echo {
    async fn new(_ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() -> Result<()> {
    wsworker::run(Site)
}
