//! Counters, each a Durable Object, reached by number over any connection; many calls at a time.
//! Like the counter example, but one connection leads to all: `wsworker-durable` looks how many
//! increments a second are durable, `wsworker-memory` what an object leaves behind when it sleeps.

use wsworker::prelude::*;

#[worker(objects(Counter))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    /// A message is a counter's number, and is answered with the number and the new count.
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let number = u32::from_be_bytes(message.as_bytes().try_into()?);
        let counters = ws.env().durable_object::<Counter>();
        let counter = counters.get_by_name(&number.to_string());
        let ws = ws.clone();
        // Beside the callbacks: the next message's call begins before this one has ended.
        wsworker::spawn(async move {
            let count = counter.incr().await?;
            let mut answer = [0; 12];
            answer[..4].copy_from_slice(&number.to_be_bytes());
            answer[4..].copy_from_slice(&count.to_be_bytes());
            ws.send(&answer)
        });
        Ok(())
    }
}

// It sleeps soon, so that its sleep need not be waited for.
#[durable_object(hibernate_after = "500ms")]
struct Counter {
    ctx: ObjectContext,
}

impl DurableObject for Counter {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }
}

#[durable_object]
impl Counter {
    #[call]
    async fn incr(&mut self) -> Result<u64> {
        let storage = self.ctx.storage();
        let count = storage.get::<u64>("count").await?.unwrap_or(0) + 1;
        storage.put("count", &count)?;
        Ok(count)
    }
}

fn main() -> Result<()> {
    wsworker::run(Site)
}
