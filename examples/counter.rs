//! Counters that never lose a count: each name is a Durable Object.
//!
//! `cargo run --example counter`, then open ws://127.0.0.1:8787/counter/visits and
//! send `incr` or `get`; http://127.0.0.1:8787/counter/visits shows the count too.
//! The counts are kept in `wsworker-data`, over restarts and crashes.

use std::sync::LazyLock;

use wsworker::prelude::*;

static COUNTERS: LazyLock<Router<()>> =
    LazyLock::new(|| Router::new().route("/counter/{name}", ()));

#[worker(objects(Counter))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let Some(((), params)) = COUNTERS.at(req.path()) else {
            return Response::error("Not found: there is /counter/NAME\n", 404);
        };
        let name = params.get("name")?; // decoded, or a 400 that says what is wrong
        let counter = env.durable_object::<Counter>().get_by_name(&name);
        counter.fetch(req).await
    }
}

#[durable_object]
struct Counter {
    ctx: ObjectContext,
}

impl DurableObject for Counter {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        if req.is_upgrade() {
            return Ok(req.upgrade()?.accept());
        }
        Ok(Response::text(format!("{}\n", self.count().await?)))
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        match message.as_text() {
            Some("incr") => {
                let count = self.count().await? + 1;
                self.ctx.storage().put("count", &count)?;
                // Leaves when the new count is on the disk.
                ws.send(count.to_string())
            }
            Some("get") => ws.send(self.count().await?.to_string()),
            // An error here would reset the counter's memory and close the socket.
            _ => ws.send(r#"{"error":"send incr or get"}"#),
        }
    }
}

impl Counter {
    async fn count(&self) -> Result<u64> {
        Ok(self.ctx.storage().get("count").await?.unwrap_or(0))
    }
}

fn main() -> Result<()> {
    wsworker::run(Site)
}
