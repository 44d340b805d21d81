//! A server whose sockets all belong to one Durable Object, named by the first argument: a `room`
//! that sends each message on to all others, or an `echo`.
//! Does not write anything: `wsworker-durable` measures that.

use wsworker::prelude::*;

#[worker(objects(Room, Echo))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let does = std::env::args().nth(1);
        match does.as_deref() {
            Some("room") => {
                let room = env.durable_object::<Room>().get_by_name("room");
                room.fetch(req).await
            }
            Some("echo") => {
                let echo = env.durable_object::<Echo>().get_by_name("echo");
                echo.fetch(req).await
            }
            other => Err(Error::new(format!("expected room or echo, got {other:?}"))),
        }
    }
}

#[durable_object]
struct Room {
    ctx: ObjectContext,
}

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.ctx.sockets().except(ws).broadcast(message);
        Ok(())
    }
}

#[durable_object]
struct Echo;

impl DurableObject for Echo {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self)
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() -> Result<()> {
    wsworker::run(Site)
}
