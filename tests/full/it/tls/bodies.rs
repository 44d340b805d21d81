//! Requests and responses over TLS: their bodies, and what a worker is told of the way.
//! Does not treat WebSockets: `messages` does.

use wsworker::prelude::*;

use super::certificate;
use super::client::{Client, over};
use crate::raw::{Head, RawClient};
use crate::server::{Served, within};

/// Sends the URL back, or the body as it comes.
#[worker]
#[derive(Clone)]
struct Tells;

impl Worker for Tells {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        match req.path() {
            "/url" => Ok(Response::text(req.url())),
            _ => Ok(Response::stream(req.into_body())),
        }
    }

    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        Ok(())
    }
}

async fn start_with(configure: impl FnOnce(Server) -> Server) -> (Served, RawClient) {
    let tls = certificate();
    let client = Client::trusting(&tls);
    let served = Served::start_with(Tells, |server| configure(server.tls(tls))).await;
    let stream = client.connect(served.addr).await;
    (served, over(stream))
}

#[test]
fn the_url_says_https_unless_a_trusted_proxy_says_otherwise() {
    within(async || {
        let (_served, mut client) = start_with(|server| server).await;
        let head = Head::get("/url", "a.example").with("X-Forwarded-Proto", "http");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "https://a.example/url");

        let proxied = |server: Server| server.trusted_proxies(["127.0.0.1"]);
        let (_served, mut client) = start_with(proxied).await;
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "http://a.example/url");
    });
}

#[test]
fn bodies_go_both_ways_over_tls() {
    within(async || {
        let (_served, mut client) = start_with(|server| server).await;
        for length in [0, 1, 100_000, 1 << 20] {
            let body = vec![b'x'; length];
            assert!(client.post("/", &body).await.body == body, "{length}");
        }
    });
}

#[test]
fn a_body_that_fails_cuts_the_connection() {
    within(async || {
        let (_served, mut client) = start_with(|server| server.max_body(100)).await;
        let head = Head::post("/", client.host()).with("Transfer-Encoding", "chunked");
        client.send_raw(head.encode()).await;
        client.reader.read_head().await;
        client
            .send_raw(format!("64\r\n{}\r\n", "x".repeat(100)))
            .await;
        assert_eq!(client.reader.read_chunk().await.unwrap().len(), 100);
        client.send_raw("1\r\nx\r\n").await;
        // Without a word of TLS that this is the end.
        assert_eq!(client.reader.read_to_end().await, b"");
    });
}
