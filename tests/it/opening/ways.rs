//! A request with few headers may be answered on a shorter way than one with many: what is
//! answered must not tell.

use wsworker::prelude::*;

use crate::raw::{Frame, Head, RawClient, Response as Answer};
use crate::server::{Event, Recorded, Served, within};

type Change = fn(Head) -> Head;

/// More than the short way takes.
fn long(head: Head) -> Head {
    (0..40).fold(head, |head, n| head.with(&format!("X-Padding-{n}"), "x"))
}

/// What is answered, without the time.
async fn answered(server: &Recorded, head: Head) -> (u16, Vec<(String, String)>, String) {
    let mut client = RawClient::connect(server.addr).await;
    client.send_raw(head.encode()).await;
    let Answer {
        status,
        headers,
        body,
    } = client.read_response().await;
    let mut headers: Vec<_> = headers.into_iter().filter(|(n, _)| n != "date").collect();
    headers.sort();
    (status, headers, String::from_utf8(body).unwrap())
}

#[test]
fn a_request_with_few_headers_gets_what_one_with_many_gets() {
    within(async || {
        let server = Recorded::start_with(|s| s.protocols(["chat.v1"])).await;
        let host = server.addr.to_string();
        let upgrade = || Head::upgrade("/path?query", &host);
        let heads: [(&str, Change); 16] = [
            ("a valid one", |h| h),
            ("a subprotocol", |h| {
                h.with("Sec-WebSocket-Protocol", "chat.v1")
            }),
            ("no key", |h| h.without("Sec-WebSocket-Key")),
            ("a bad key", |h| h.replace("Sec-WebSocket-Key", "short")),
            ("version 12", |h| h.replace("Sec-WebSocket-Version", "12")),
            ("no version", |h| h.without("Sec-WebSocket-Version")),
            ("no connection", |h| h.without("Connection")),
            ("no upgrade", |h| h.without("Upgrade")),
            ("no host", |h| h.without("Host")),
            ("two hosts", |h| h.with("Host", "b.example")),
            ("another origin", |h| {
                h.with("Origin", "https://evil.example")
            }),
            ("bytes in a value", |h| h.with("X-Any", "\u{e9}\u{fc}")),
            ("a length of 0", |h| h.with("Content-Length", "0")),
            ("a POST", |h| h.line("POST / HTTP/1.1")),
            ("a whole URL", |h| h.line("GET http://c.example/x HTTP/1.1")),
            ("no path", |h| h.line("GET .evil.example HTTP/1.1")),
        ];
        for (what, change) in heads {
            let few = answered(&server, change(upgrade())).await;
            let many = answered(&server, long(change(upgrade()))).await;
            assert_eq!(few, many, "{what}");
        }
    });
}

#[test]
fn what_follows_the_request_at_once_is_heard_on_both_ways() {
    within(async || {
        for change in [|head| head, long] {
            let mut server = Recorded::start().await;
            let mut client = RawClient::connect(server.addr).await;
            let head = change(client.upgrade()).encode();
            let frames = [Frame::text("one").encode(), Frame::text("two").encode()];
            client.send_raw([head, frames.concat()].concat()).await;
            client.read_response().await.assert_upgraded();
            server.expect(Event::Open).await;
            server.expect(Event::text("one")).await;
            server.expect(Event::text("two")).await;
        }
    });
}

/// Waits before it answers, and refuses when it is told to.
#[worker]
#[derive(Clone)]
struct Slow;

impl Worker for Slow {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        match req.path() {
            "/no" => Response::error("not today", 403),
            _ => Ok(req.upgrade()?.accept()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

#[test]
fn a_worker_may_wait_and_refuse_and_the_connection_serves_the_next_request() {
    within(async || {
        let server = Served::start(Slow).await;
        let mut client = RawClient::connect(server.addr).await;
        let refused = Head::upgrade("/no", client.host());
        client.send_raw(refused.encode()).await;
        let answer = client.read_response().await;
        assert_eq!((answer.status, answer.text()), (403, "not today"));
        client.send_raw(client.upgrade().encode()).await;
        client.read_response().await.assert_upgraded();
        client.send(Frame::text("hello")).await;
        client.expect_text("hello").await;
    });
}
