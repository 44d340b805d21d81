use wsworker::prelude::*;

#[durable_object]
struct Größe;

impl DurableObject for Größe {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Größe)
    }
}

fn main() {}
