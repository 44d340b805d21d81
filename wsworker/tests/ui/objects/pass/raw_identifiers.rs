use wsworker::prelude::*;

#[durable_object]
#[allow(non_camel_case_types)]
struct r#type {
    r#fn: u8,
}

impl DurableObject for r#type {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { r#fn: 1 })
    }
}

#[durable_object]
impl r#type {
    #[call]
    async fn r#match(&mut self, r#for: u8) -> Result<bool> {
        Ok(self.r#fn == r#for)
    }
}

async fn ask(stub: typeStub) -> Result<bool> {
    stub.r#match(1).await
}

fn main() {
    assert_eq!(<r#type as wsworker::__private::Class>::NAME, "type");
    let _ = ask;
}
