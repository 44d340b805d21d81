//! An end that `fetch` opened, accepted here or dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wsworker::prelude::*;
use wsworker::{Client, Event, WebSocketEnd, WebSocketEvents};

use super::{Conn, KIB, Upstream, only, tasks};
use crate::raw::Frame;
use crate::server::within;

/// An end and the server's side of it.
async fn opened(upstream: &Upstream, client: &Client) -> (WebSocketEnd, Conn) {
    let (response, conn) = tokio::join!(client.fetch(upstream.url("/feed")), upstream.accept());
    (response.unwrap().into_websocket().unwrap(), conn)
}

async fn accepted(upstream: &Upstream) -> (WebSocketEvents, Conn) {
    let (end, conn) = opened(upstream, &Client::new()).await;
    (end.accept(), conn)
}

async fn expect_text(events: &mut WebSocketEvents, wanted: &str) {
    match events.next().await {
        Some(Event::Message(message)) => assert_eq!(message.as_text(), Some(wanted)),
        other => panic!("wanted the text {wanted:?}, got {other:?}"),
    }
}

async fn expect_close(events: &mut WebSocketEvents, code: u16) -> CloseEvent {
    match events.next().await {
        Some(Event::Close(close)) => {
            assert_eq!(close.code, code, "{close:?}");
            assert!(events.next().await.is_none());
            close
        }
        other => panic!("wanted a close, got {other:?}"),
    }
}

#[test]
fn messages_go_both_ways_masked_from_here() {
    within(async || {
        let upstream = Upstream::start().await;
        let (mut events, mut server) = accepted(&upstream).await;
        for size in [0, 1, 125, 126, 4 * KIB, 65_535, 65_536, 900 * KIB] {
            let bytes = vec![size as u8; size];
            events.send(bytes.clone()).unwrap();
            server.expect_binary(&bytes).await;
            server.send(Frame::binary(&bytes)).await;
            let Some(Event::Message(message)) = events.next().await else {
                panic!("{size} bytes do not come");
            };
            assert!(message.as_bytes() == bytes);
        }
        server.send(Frame::ping("there?")).await;
        server.expect_pong(b"there?").await;
        events.close_with(4000, "enough").unwrap();
        assert_eq!(server.expect_close(4000).await, "enough");
        server.send(Frame::close(4000, "enough")).await;
        assert!(expect_close(&mut events, 4000).await.was_clean);
        server.finish().await;
    });
}

#[test]
fn a_servers_close_is_answered_and_the_server_ends_first() {
    within(async || {
        let upstream = Upstream::start().await;
        let before = tasks();
        let (mut events, mut server) = accepted(&upstream).await;
        server
            .send_all([Frame::text("a"), Frame::close(1000, "bye")])
            .await;
        expect_text(&mut events, "a").await;
        events.send("answer").unwrap();
        let close = expect_close(&mut events, 1000).await;
        assert!(close.was_clean && close.reason == "bye");
        server.expect_text("answer").await;
        server.expect_close(1000).await;
        server.finish().await;
        only(before).await;
    });
}

#[test]
fn a_server_that_does_not_end_is_left_in_time() {
    within(async || {
        let upstream = Upstream::start().await;
        let before = tasks();
        let client = Client::builder().close_timeout(Duration::from_millis(300));
        let (end, mut server) = opened(&upstream, &client.build().unwrap()).await;
        let mut events = end.accept();
        server.send(Frame::close(1000, "")).await;
        expect_close(&mut events, 1000).await;
        server.expect_close(1000).await;
        server.expect_eof().await;
        only(before).await;
    });
}

#[test]
fn a_masked_frame_from_a_server_is_1002() {
    within(async || {
        let upstream = Upstream::start().await;
        let (mut events, mut server) = accepted(&upstream).await;
        server.send_raw(Frame::text("masked").encode()).await;
        assert!(matches!(events.next().await, Some(Event::Error(e)) if e.is_protocol()));
        expect_close(&mut events, 1002).await;
        server.expect_close(1002).await;
    });
}

#[test]
fn the_clients_limits_are_the_sockets() {
    within(async || {
        let upstream = Upstream::start().await;
        let idle = Duration::from_millis(400);
        let client = Client::builder()
            .max_message(KIB)
            .max_buffered(2 * KIB)
            .idle_timeout(idle);
        let client = client.build().unwrap();
        let (end, mut server) = opened(&upstream, &client).await;
        let mut events = end.accept();
        events.send(vec![0; 3 * KIB]).unwrap();
        assert!(events.send("x").unwrap_err().is_full());
        server.expect_binary(&vec![0; 3 * KIB]).await;
        let ping = server.expect_ping().await;
        server.send(Frame::pong(ping)).await;
        server.send(Frame::binary(vec![0; KIB + 1])).await;
        assert!(matches!(events.next().await, Some(Event::Error(_))));
        expect_close(&mut events, 1009).await;
        server.expect_close(1009).await;
        let (end, mut server) = opened(&upstream, &client).await;
        let mut events = end.accept();
        server.expect_ping().await;
        expect_close(&mut events, 1006).await;
        server.expect_eof().await;
    });
}

#[test]
fn what_came_with_the_101_is_heard_first() {
    within(async || {
        let upstream = Upstream::start().await;
        let early = Frame::text("early").unmasked().encode();
        let headers = "Sec-WebSocket-Protocol: v1\r\n";
        let request = Request::get(upstream.url("/")).header("Sec-WebSocket-Protocol", "v1");
        let client = Client::new();
        let (response, mut server) =
            tokio::join!(client.fetch(request), upstream.accept_with(headers, &early),);
        let response = response.unwrap();
        assert_eq!(response.websocket().unwrap().protocol(), Some("v1"));
        let end = response.into_websocket().unwrap();
        server.send(Frame::text("late")).await;
        let mut events = end.accept();
        assert_eq!(events.protocol(), Some("v1"));
        assert_eq!(events.remote_addr(), Some(upstream.addr));
        expect_text(&mut events, "early").await;
        expect_text(&mut events, "late").await;
    });
}

#[test]
fn an_end_that_is_dropped_says_goodbye() {
    within(async || {
        let upstream = Upstream::start().await;
        let before = tasks();
        let client = Client::new();
        let (end, mut server) = opened(&upstream, &client).await;
        drop(end);
        server.expect_close(1001).await;
        server.send(Frame::close(1001, "")).await;
        server.finish().await;
        // Outside any runtime too.
        let (end, mut server) = opened(&upstream, &client).await;
        std::thread::spawn(move || drop(end)).join().unwrap();
        server.expect_close(1001).await;
        drop(server);
        only(before).await;
    });
}

#[test]
fn an_end_may_be_accepted_outside_a_runtime() {
    within(async || {
        let upstream = Upstream::start().await;
        let (end, mut server) = opened(&upstream, &Client::new()).await;
        let events = std::thread::scope(|s| s.spawn(|| end.accept()).join().unwrap());
        events.send("hello").unwrap();
        server.expect_text("hello").await;
    });
}

/// Says what it hears.
#[worker]
#[derive(Clone)]
struct Says(Arc<UnboundedSender<String>>);

impl Says {
    fn say(&self, text: String) {
        let _ = self.0.send(text);
    }
}

impl Worker for Says {
    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        self.say(format!("open {} {:?}", req.path(), req.header("x-mine")));
        ws.send("hello")
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.say(format!("message {}", message.as_text().unwrap_or_default()));
        ws.send(message)
    }

    async fn on_close(&mut self, _ws: &WebSocket, close: CloseEvent) {
        self.say(format!("close {}", close.code));
    }
}

#[test]
fn callbacks_hear_the_server_and_the_request_that_was_made() {
    within(async || {
        let upstream = Upstream::start().await;
        let (say, mut said) = unbounded_channel();
        let request = Request::get(upstream.url("/feed")).header("X-Mine", "yes");
        let (response, mut server) = tokio::join!(wsworker::fetch(request), upstream.accept());
        let end = response.unwrap().into_websocket().unwrap();
        let ws = end.accept_with(Says(Arc::new(say)));
        server.expect_text("hello").await;
        server.send(Frame::text("a")).await;
        server.expect_text("a").await;
        ws.close().unwrap();
        server.expect_empty_close().await;
        server.send(Frame::close_empty()).await;
        server.finish().await;
        for wanted in ["open /feed Some(\"yes\")", "message a", "close 1005"] {
            assert_eq!(said.recv().await.as_deref(), Some(wanted));
        }
        assert_eq!(said.recv().await, None);
    });
}

#[test]
fn a_runtime_keeps_nothing_of_its_connections() {
    within(async || {
        let upstream = Upstream::start().await;
        let before = tasks();
        let client = Client::new();
        for round in 0..30 {
            let (end, server) = opened(&upstream, &client).await;
            match round % 3 {
                0 => drop(end),
                1 => drop(end.accept()),
                _ => {
                    let mut events = end.accept();
                    drop(server);
                    expect_close(&mut events, 1006).await;
                    continue;
                }
            }
            drop(server);
        }
        only(before).await;
    });
}
