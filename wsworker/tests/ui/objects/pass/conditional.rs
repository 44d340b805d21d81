use wsworker::prelude::*;

#[durable_object]
#[cfg(any())]
struct Absent;

#[durable_object]
#[cfg(any())]
impl Absent {
    #[call]
    async fn count(&mut self) -> Result<usize> {
        Ok(1)
    }
}

#[cfg_attr(all(), durable_object(name = "present"))]
#[cfg(all())]
struct Present;

impl DurableObject for Present {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Present)
    }
}

#[durable_object]
#[cfg(all())]
impl Present {
    #[cfg(all())]
    #[call]
    async fn count(&mut self) -> Result<usize> {
        Ok(1)
    }

    #[call]
    #[cfg(any())]
    async fn count(&mut self, line: Absent) -> Result<usize> {
        Ok(line.0)
    }

    #[cfg(any())]
    fn other(&self) -> Absent {}
}

async fn ask(stub: PresentStub) -> Result<usize> {
    stub.count().await
}

fn main() {
    let _ = ask;
}
