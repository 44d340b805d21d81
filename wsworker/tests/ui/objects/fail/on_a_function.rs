use wsworker::prelude::*;

#[durable_object]
async fn fetch(req: Request) -> Result<Response> {
    Ok(req.upgrade()?.accept())
}

fn main() {
    let _ = fetch;
}
