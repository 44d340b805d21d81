//! Requests around the upgrade: what the worker is told, how it fails, what comes
//! before the upgrade and together with it.
//! Does not treat requests that are too slow or too large: `limits` does.

use std::collections::HashSet;

use wsworker::prelude::*;

use crate::log::Logged;
use crate::raw::{Frame, Head, RawClient, encode_all};
use crate::server::{Event, Recorded, SECRET, Served, within};

async fn failed(path: &str) -> (u16, String) {
    let server = Recorded::start().await;
    let mut client = RawClient::connect(server.addr).await;
    client
        .send_raw(Head::get(path, client.host()).encode())
        .await;
    let answer = client.read_response().await;
    // Others are served as before.
    RawClient::open(server.addr).await.close().await;
    (answer.status, answer.text().to_owned())
}

#[test]
fn a_failed_fetch_is_500_with_an_id_and_nothing_internal() {
    within(async || {
        let mut texts = HashSet::new();
        for _ in 0..3 {
            let (status, text) = failed("/fetch-fail").await;
            assert_eq!(status, 500);
            assert!(!text.contains(SECRET), "{text}");
            texts.insert(text);
        }
        assert_eq!(texts.len(), 3, "each failure has an id: {texts:?}");
    });
}

#[test]
fn a_panic_in_fetch_is_500_with_an_id_and_nothing_internal() {
    within(async || {
        let mut texts = HashSet::new();
        for _ in 0..3 {
            let (status, text) = failed("/fetch-panic").await;
            assert_eq!(status, 500);
            assert!(!text.contains(SECRET), "{text}");
            assert!(!text.contains(".rs"), "{text}");
            texts.insert(text);
        }
        assert_eq!(texts.len(), 3, "each failure has an id: {texts:?}");
    });
}

#[test]
fn a_failed_fetch_is_logged_with_its_request_and_the_id() {
    within(async || {
        let logged = Logged::start();
        let (_, text) = failed("/fetch-fail?token=abc").await;
        let id = text.split("error id: ").nth(1).unwrap().trim();
        let wanted = format!("the worker's fetch failed for GET /fetch-fail, error id {id}");
        assert_eq!(logged.take("fetch failed"), [wanted]);
    });
}

#[test]
fn a_connection_goes_on_after_a_failed_fetch() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        for path in ["/fetch-fail", "/fetch-panic"] {
            let head = Head::get(path, client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, 500);
        }
        client.handshake(&[]).await;
    });
}

#[test]
fn requests_may_come_before_the_upgrade() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        for (path, status) in [("/page", 200), ("/", 426), ("/page", 200)] {
            let head = Head::get(path, client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, status);
        }
        client.handshake(&[]).await;
        client.send(Frame::text("after all that")).await;
        client.expect_text("after all that").await;
        server.expect(Event::Open).await;
    });
}

#[test]
fn a_refused_upgrade_may_be_followed_by_a_good_one() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = client.upgrade().replace("Sec-WebSocket-Version", "8");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 426);
        client.handshake(&[]).await;
    });
}

#[test]
fn a_request_and_the_upgrade_may_come_in_one_packet() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let mut bytes = Head::get("/page", client.host()).encode();
        bytes.extend(client.upgrade().encode());
        bytes.extend(Frame::text("early").encode());
        client.send_raw(bytes).await;
        assert_eq!(client.read_response().await.status, 200);
        client.read_response().await.assert_upgraded();
        client.expect_text("early").await;
    });
}

#[test]
fn frames_that_came_with_the_request_are_delivered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let mut bytes = client.upgrade().encode();
        bytes.extend(encode_all([
            Frame::text("one"),
            Frame::ping("p"),
            Frame::text("two"),
        ]));
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        // A pong need not wait for the messages before it.
        let mut texts = Vec::new();
        for _ in 0..3 {
            let frame = client.read_frame().await;
            if frame.opcode == crate::raw::TEXT {
                texts.push(frame.text().to_owned());
            }
        }
        assert_eq!(texts, ["one", "two"]);
        server.expect(Event::Open).await;
        server.expect(Event::text("one")).await;
        server.expect(Event::text("two")).await;
    });
}

#[test]
fn part_of_a_frame_that_came_with_the_request_is_kept() {
    within(async || {
        let frame = Frame::text("in two parts").encode();
        let server = Recorded::start().await;
        for cut in 1..frame.len() {
            let mut client = RawClient::connect(server.addr).await;
            let mut bytes = client.upgrade().encode();
            bytes.extend(&frame[..cut]);
            client.send_raw(bytes).await;
            client.read_response().await.assert_upgraded();
            client.send_raw(&frame[cut..]).await;
            client.expect_text("in two parts").await;
        }
    });
}

#[test]
fn a_large_frame_may_begin_in_the_requests_packet() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let payload = vec![b'x'; 200_000];
        let mut bytes = client.upgrade().encode();
        bytes.extend(Frame::binary(&payload).encode());
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        client.expect_binary(&payload).await;
    });
}

#[test]
fn the_request_may_come_byte_by_byte() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        for byte in client.upgrade().encode() {
            client.send_raw([byte]).await;
            tokio::task::yield_now().await;
        }
        client.read_response().await.assert_upgraded();
        client.send(Frame::text("there")).await;
        client.expect_text("there").await;
    });
}

/// Says in its greeting what it was told of the request and its surroundings.
#[worker]
#[derive(Clone)]
struct Tells {
    fetched: usize,
}

impl Worker for Tells {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        self.fetched += 1;
        if req.is_upgrade() {
            return Ok(req.upgrade()?.accept());
        }
        Ok(Response::text(format!(
            "{} {} {:?} {}",
            req.method(),
            req.path(),
            req.header("X-Color"),
            env.var("COLOR")?
        )))
    }

    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        ws.send(format!("{} {:?}", req.path(), req.header("x-color")))?;
        let same = req.remote_addr() == ws.remote_addr();
        ws.send(format!("{:?} {same}", ws.remote_addr()))?;
        ws.send(ws.env().var("COLOR")?.to_owned())
    }

    async fn on_message(&mut self, ws: &WebSocket, _message: Message) -> Result<()> {
        ws.send(format!("fetched {}", self.fetched))
    }
}

#[test]
fn the_worker_sees_the_request_and_the_peer() {
    within(async || {
        let server = Served::start_with(Tells { fetched: 0 }, |s| s.var("COLOR", "green")).await;
        let mut client = RawClient::connect(server.addr).await;
        let extra = [("X-Color", "blue")];
        client.handshake_at("/there?q=1", &extra).await;
        client.expect_text("/there Some(\"blue\")").await;
        let addr = client.local_addr();
        client.expect_text(&format!("{:?} true", Some(addr))).await;
        client.expect_text("green").await;
    });
}

#[test]
fn the_value_that_upgraded_is_the_connections_own() {
    within(async || {
        let server = Served::start_with(Tells { fetched: 0 }, |s| s.var("COLOR", "green")).await;
        let mut client = RawClient::connect(server.addr).await;
        // Two requests on one connection: two values.
        let head = Head::get("/page", client.host()).with("x-color", "red");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "GET /page Some(\"red\") green");
        client.handshake(&[]).await;
        for _ in 0..3 {
            client.read_frame().await;
        }
        client.send(Frame::text("?")).await;
        client.expect_text("fetched 1").await;
    });
}

#[test]
fn a_missing_variable_is_an_error_and_so_a_500() {
    within(async || {
        let server = Served::start(Tells { fetched: 0 }).await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::get("/page", client.host());
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("COLOR"), "{}", answer.text());
    });
}
