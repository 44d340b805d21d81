//! The user's own names do not change what the attribute means.

use wsworker::{DurableObject, Env, ObjectContext, durable_object};

#[derive(Debug)]
struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("full")
    }
}

impl std::error::Error for Full {}

type Result<T> = std::result::Result<T, Full>;

#[allow(dead_code)]
enum Option {
    None,
    Some,
}

#[allow(dead_code)]
struct Box;

#[allow(dead_code)]
mod core {}

#[allow(dead_code)]
mod std {
    pub use ::std::*;
}

#[allow(dead_code, non_camel_case_types)]
struct str;

#[durable_object(name = "rooms", event_timeout = "1s")]
struct Stub(usize);

impl DurableObject for Stub {
    async fn new(_: ObjectContext, _: Env) -> wsworker::Result<Self> {
        Ok(Stub(1))
    }
}

#[durable_object]
impl Stub {
    const MOST: usize = 2;

    #[call]
    async fn enter(&mut self, object: u8, sent: [u8; Self::MOST], mut args: u8) -> Result<u8> {
        args += object + sent[0];
        if self.0 == Self::MOST { Err(Full) } else { Ok(args) }
    }

    #[call]
    async fn received(&mut self, received: u8) -> ::std::io::Result<u8> {
        Ok(received)
    }
}

async fn ask(stub: StubStub) -> wsworker::Result<u8> {
    stub.received(stub.enter(1, [2, 3], 4).await?).await
}

fn main() {
    let _ = ask;
}
