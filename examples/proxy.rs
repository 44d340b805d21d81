//! One address in front of another: pages, requests and WebSockets go through.
//!
//! Run it in front of the echo example, with that one running:
//! `WSWORKER_ADDR=127.0.0.1:8788 UPSTREAM=http://127.0.0.1:8787 cargo run --example proxy`

use wsworker::Redirect;
use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Proxy {
    client: Client,
}

impl Worker for Proxy {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let upstream = env.var("UPSTREAM")?.trim_end_matches('/');
        let target = req.uri().path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{upstream}{target}");
        // Of a WebSocket too: returned, the response joins both connections.
        let response = self.client.fetch(req.into_builder().url(url)).await;
        response.or_else(|error| {
            // The client's own mistake in what it sends, such as too large a body.
            if error.status().is_some() {
                return Err(error);
            }
            eprintln!("{error}");
            Response::error("Bad Gateway", 502)
        })
    }
}

fn main() -> Result<()> {
    // Redirects are the caller's to follow.
    let client = Client::builder().redirect(Redirect::Manual).build()?;
    wsworker::run(Proxy { client })
}
