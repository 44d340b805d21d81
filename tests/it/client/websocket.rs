//! WebSockets that `fetch` opened: what goes over them, and how they end.

use std::time::Duration;

use tokio::time::timeout;
use wsworker::prelude::*;
use wsworker::{Event, WebSocketEvents};

use super::raw_server::{Conn, RawServer};
use super::{SHORT, build, client, redirect};
use crate::raw::{BINARY, CLOSE, DEADLINE, Frame, PING, PONG, encode_all};
use crate::server::{eventually, within};

/// A server that accepts each WebSocket with more headers, and goes on with this.
fn accepting(more: &'static str, serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |conn| {
        let head = conn.head().unwrap();
        conn.send(head.switch(more));
        serve(conn);
    })
}

async fn open(client: &wsworker::Client, server: &RawServer) -> WebSocketEvents {
    let response = client.fetch(server.ws_url("/")).await.unwrap();
    response.into_websocket().unwrap().accept()
}

async fn next(events: &mut WebSocketEvents) -> Event {
    let event = timeout(DEADLINE, events.next()).await;
    event.expect("no event comes").expect("there is no more")
}

async fn expect_text(events: &mut WebSocketEvents, wanted: &str) {
    match next(events).await {
        Event::Message(message) => assert_eq!(message.as_text(), Some(wanted)),
        other => panic!("wanted {wanted:?}, got {other:?}"),
    }
}

/// Wants the close next, and no more after it.
async fn expect_close(events: &mut WebSocketEvents, code: u16, was_clean: bool) {
    match next(events).await {
        Event::Close(close) => assert_eq!((close.code, close.was_clean), (code, was_clean)),
        other => panic!("wanted a close with {code}, got {other:?}"),
    }
    assert!(events.next().await.is_none());
}

async fn expect_error(events: &mut WebSocketEvents) -> Error {
    match next(events).await {
        Event::Error(error) => error,
        other => panic!("wanted an error, got {other:?}"),
    }
}

#[test]
fn messages_go_both_ways_and_ours_are_masked() {
    within(async || {
        let server = accepting("Sec-WebSocket-Protocol: v1\r\n", |conn| {
            conn.expect_text("hello");
            conn.say(Frame::text("hello yourself"));
            let frame = conn.frame().unwrap();
            assert_eq!((frame.opcode, frame.payload.len()), (BINARY, 100_000));
            conn.say(Frame::binary(&frame.payload));
            conn.say(Frame::ping("?"));
            let frame = conn.frame().unwrap();
            assert_eq!((frame.opcode, &frame.payload[..]), (PONG, &b"?"[..]));
            conn.say(Frame::close(4001, "bye"));
            conn.expect_close(4001);
        });
        let request = Request::get(server.ws_url("/")).header("sec-websocket-protocol", "v2, v1");
        let response = client().fetch(request).await.unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.websocket().unwrap().protocol(), Some("v1"));
        let mut events = response.into_websocket().unwrap().accept();
        assert_eq!(events.protocol(), Some("v1"));
        assert_eq!(events.remote_addr(), Some(server.addr));
        events.send("hello").unwrap();
        expect_text(&mut events, "hello yourself").await;
        events.send(vec![7; 100_000]).unwrap();
        match next(&mut events).await {
            Event::Message(message) => assert_eq!(message.as_bytes(), vec![7; 100_000]),
            other => panic!("wanted a message, got {other:?}"),
        }
        expect_close(&mut events, 4001, true).await;
    });
}

#[test]
fn each_frame_has_a_mask_of_its_own() {
    within(async || {
        let (seen, masks) = std::sync::mpsc::channel();
        let server = accepting("", move |conn| {
            for _ in 0..3 {
                // Head, mask and payload of a short text.
                let frame = conn.bytes(2 + 4 + 4);
                assert_eq!(frame[..2], [0x81, 0x84]);
                seen.send(frame[2..6].to_vec()).unwrap();
            }
        });
        let events = open(&client(), &server).await;
        for _ in 0..3 {
            events.send("same").unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server_done(&server).await;
        let masks: Vec<_> = masks.try_iter().collect();
        assert_eq!(masks.len(), 3);
        assert!(masks[0] != masks[1] && masks[1] != masks[2], "{masks:?}");
    });
}

#[test]
fn frames_that_come_with_the_101_are_not_lost() {
    within(async || {
        let server = RawServer::start(|conn| {
            let head = conn.head().unwrap();
            let mut answer = head.switch("").into_bytes();
            let frames = [Frame::text("one"), Frame::text("two"), Frame::text("thr")];
            answer.extend(encode_all(frames.map(Frame::unmasked)));
            // The last one in two parts.
            let rest = answer.split_off(answer.len() - 2);
            conn.send(answer);
            std::thread::sleep(Duration::from_millis(20));
            conn.send(rest);
            conn.say(Frame::close(1000, ""));
            conn.expect_close(1000);
        });
        let mut events = open(&client(), &server).await;
        for wanted in ["one", "two", "thr"] {
            expect_text(&mut events, wanted).await;
        }
        expect_close(&mut events, 1000, true).await;
    });
}

#[test]
fn what_a_server_may_not_send_ends_it_with_its_code() {
    within(async || {
        for (bytes, code) in [
            // A mask (RFC 6455 §5.1).
            (Frame::text("hello").encode(), 1002),
            (Frame::text([0xff]).unmasked().encode(), 1007),
            (Frame::text("x").rsv(4).unmasked().encode(), 1002),
            (Frame::continuation("x").unmasked().encode(), 1002),
            (
                Frame::binary("").announcing(2 << 20).unmasked().encode(),
                1009,
            ),
            // A body after the 101 is taken for frames.
            (b"<html>not found</html>".to_vec(), 1002),
        ] {
            let server = accepting("", move |conn| {
                conn.send(&bytes);
                conn.expect_close(code);
            });
            let mut events = open(&client(), &server).await;
            let error = expect_error(&mut events).await;
            assert!(error.is_protocol());
            assert_eq!(error.close_code(), Some(code), "{error}");
            expect_close(&mut events, code, false).await;
        }
    });
}

#[test]
fn a_server_that_pings_and_does_not_read_costs_no_memory() {
    within(async || {
        const PINGS: usize = 100_000;
        let (is_full, full) = std::sync::mpsc::channel();
        let (pinged, mut pings) = tokio::sync::mpsc::unbounded_channel();
        let full = std::sync::Mutex::new(full);
        let server = accepting("", move |conn| {
            full.lock().unwrap().recv().unwrap();
            for i in 0..PINGS / 100 {
                let some = (0..100).map(|j| Frame::ping(format!("{:>120}", 100 * i + j)));
                assert!(conn.send(encode_all(some.map(Frame::unmasked))));
            }
            pinged.send(()).unwrap();
            // It is told of the last one, behind what waited.
            let last = format!("{:>120}", PINGS - 1);
            let mut pongs = 0;
            loop {
                let frame = conn.frame().expect("the client ends the connection");
                pongs += usize::from(frame.opcode == PONG);
                if frame.payload == last.as_bytes() {
                    break;
                }
            }
            assert!(pongs < PINGS / 10, "{pongs} of {PINGS} pings were answered");
        });
        let events = open(&client(), &server).await;
        let mut sent = 0;
        while timeout(SHORT, events.ready()).await.is_ok() {
            events.send(vec![7; 10_000]).unwrap();
            sent += 1;
            assert!(sent < 10_000, "100 MB were taken, and nobody reads");
        }
        is_full.send(()).unwrap();
        timeout(DEADLINE, pings.recv())
            .await
            .expect("the client does not read")
            .unwrap();
        assert!(
            events.buffered() < (1 << 20) + 20_000,
            "{}",
            events.buffered()
        );
        server_done(&server).await;
    });
}

#[test]
fn what_is_no_websocket_is_an_error_that_says_what_came() {
    within(async || {
        for (answer, status) in [
            (super::ok("hello"), "200 OK"),
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
                "404 Not Found",
            ),
            (redirect(302, "/"), "302 Found"),
        ] {
            let server = RawServer::answering(answer);
            let response = client().fetch(server.ws_url("/")).await.unwrap();
            assert!(response.websocket().is_none());
            let error = response.into_websocket().unwrap_err();
            assert!(error.is_handshake());
            let text = error.to_string();
            assert!(text.contains("server didn't accept WebSocket"), "{text}");
            assert!(text.contains(status), "{text}");
        }
    });
}

#[test]
fn a_refusals_first_line_is_in_the_error() {
    within(async || {
        let long = "é".repeat(300);
        for (kind, body, shown) in [
            (
                "text/plain; charset=utf-8",
                "log in first\nor else",
                ": log in first",
            ),
            (
                "application/json",
                "{\"error\":\"no\"}",
                ": {\"error\":\"no\"}",
            ),
            ("text/plain", "red\u{1b}[31m", ": red"),
            ("text/plain", &*long, &*format!(": {}", "é".repeat(200))),
            ("text/plain", "\r\n", ""),
            ("text/html", "<h1>no</h1>", ""),
            ("text/plain\r\ncontent-encoding: gzip", "\u{1f}", ""),
        ] {
            let length = body.len();
            let server = RawServer::answering(format!(
                "HTTP/1.1 401 Unauthorized\r\ncontent-type: {kind}\r\n\
                 content-length: {length}\r\n\r\n{body}"
            ));
            let response = client().fetch(server.ws_url("/")).await.unwrap();
            let error = response.into_websocket().unwrap_err().to_string();
            let wanted = format!("it answered 401 Unauthorized{shown}");
            assert!(error.ends_with(&wanted), "{error}");
        }
        // It is not waited for.
        let server = RawServer::answering(
            "HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\n",
        );
        let response = client().fetch(server.ws_url("/")).await.unwrap();
        let error = response.into_websocket().unwrap_err().to_string();
        assert!(error.ends_with("it answered 401 Unauthorized"), "{error}");
    });
}

#[test]
fn our_close_is_answered_and_the_connection_ends() {
    within(async || {
        let server = accepting("", |conn| {
            conn.expect_close(4002);
            conn.say(Frame::close(4002, ""));
            if conn.number > 0 {
                conn.until_left();
            }
        });
        // The server's to end first (RFC 6455 §7.1.1); one that does not is left.
        for client in [client(), build(|c| c.close_timeout(SHORT))] {
            let mut events = open(&client, &server).await;
            events.close_with(4002, "done").unwrap();
            assert!(events.send("late").unwrap_err().is_closed());
            expect_close(&mut events, 4002, true).await;
        }
        server.left(1).await;
        eventually("all tasks end", || crate::server::tasks() == 0).await;
    });
}

#[test]
fn a_server_that_dies_or_falls_silent_is_heard_of() {
    within(async || {
        let dying = accepting("", |_| {});
        let mut events = open(&client(), &dying).await;
        expect_close(&mut events, 1006, false).await;
        // One that does not answer a Close.
        let silent = accepting("", |conn| conn.until_left());
        let hasty = build(|c| c.close_timeout(SHORT));
        let mut events = open(&hasty, &silent).await;
        events.close().unwrap();
        expect_close(&mut events, 1006, false).await;
        silent.left(1).await;
        // One that does not answer a ping.
        let deaf = accepting("", |conn| {
            assert_eq!(conn.frame().unwrap().opcode, PING);
            conn.until_left();
        });
        let careful = build(|c| c.idle_timeout(SHORT * 2));
        let mut events = open(&careful, &deaf).await;
        let event = next(&mut events).await;
        let event = match event {
            Event::Error(_) => next(&mut events).await,
            other => other,
        };
        assert!(matches!(event, Event::Close(close) if close.code == 1006));
        deaf.left(1).await;
    });
}

#[test]
fn limits_are_the_clients() {
    within(async || {
        let server = accepting("", |conn| {
            conn.say(Frame::text("x".repeat(100)));
            assert_eq!(conn.frame().unwrap().payload.len(), 400);
            conn.say(Frame::text("x".repeat(101)));
            while let Some(frame) = conn.frame() {
                if frame.opcode == CLOSE {
                    assert_eq!(frame.close_code(), Some(1009));
                    return;
                }
            }
            panic!("no Close came");
        });
        let client = build(|c| c.max_message(100).max_buffered(1000));
        let mut events = open(&client, &server).await;
        expect_text(&mut events, &"x".repeat(100)).await;
        // Nothing is written before this task waits.
        while events.buffered() < 1000 {
            events.send("x".repeat(400)).unwrap();
        }
        assert!(events.send("x").unwrap_err().is_full());
        assert_eq!(expect_error(&mut events).await.close_code(), Some(1009));
    });
}

#[test]
fn one_that_nobody_accepts_is_closed_with_1001() {
    within(async || {
        let server = accepting("", |conn| {
            conn.expect_close(1001);
            conn.say(Frame::close(1001, ""));
        });
        let response = client().fetch(server.ws_url("/")).await.unwrap();
        drop(response);
        let end = client().fetch(server.ws_url("/")).await.unwrap();
        drop(end.into_websocket().unwrap());
        eventually("both are closed", || server.done() == 2).await;
        eventually("all tasks end", || crate::server::tasks() == 0).await;
    });
}

#[test]
fn a_worker_hears_of_one_by_its_callbacks() {
    #[worker]
    #[derive(Clone)]
    struct Listener(tokio::sync::mpsc::UnboundedSender<String>);

    impl Worker for Listener {
        async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
            self.0.send(format!("open {}", req.path()))?;
            ws.send("hello")
        }

        async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
            self.0.send(message.as_text().unwrap().to_owned())?;
            ws.close()
        }

        async fn on_close(&mut self, _: &WebSocket, close: CloseEvent) {
            let _ = self.0.send(format!("close {}", close.code));
        }
    }

    within(async || {
        let server = accepting("", |conn| {
            conn.expect_text("hello");
            conn.say(Frame::text("hi"));
            let close = conn.frame().unwrap();
            assert_eq!((close.opcode, close.payload.len()), (8, 0));
            conn.say(Frame::close_empty());
        });
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let response = client().fetch(server.ws_url("/feed?x")).await.unwrap();
        let end = response.into_websocket().unwrap();
        let ws = end.accept_with(Listener(told));
        for wanted in ["open /feed", "hi", "close 1005"] {
            assert_eq!(heard.recv().await.as_deref(), Some(wanted));
        }
        assert!(heard.recv().await.is_none());
        assert!(ws.send("late").is_err());
        eventually("all tasks end", || crate::server::tasks() == 0).await;
    });
}

#[test]
fn a_server_that_does_not_read_is_held_back() {
    within(async || {
        let server = accepting("", |conn| {
            std::thread::sleep(SHORT);
            let mut bytes = 0;
            while let Some(frame) = conn.frame() {
                bytes += frame.payload.len();
            }
            assert!(bytes > 8 << 20, "only {bytes} came");
        });
        let client = build(|c| c.max_buffered(64 << 10));
        let events = open(&client, &server).await;
        for _ in 0..1024 {
            events.ready().await.unwrap();
            events.send(vec![0; 10_000]).unwrap();
            assert!(events.buffered() < 80 << 10);
        }
        events.close().unwrap();
    });
}

/// Waits until the server's function has returned, which ends the connection.
async fn server_done(server: &RawServer) {
    eventually("the server is done", || server.done() > 0).await;
}
