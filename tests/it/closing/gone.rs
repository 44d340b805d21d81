//! The peer goes away without a Close.
//! Does not treat peers that only fall silent: `idle` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use wsworker::State;
use wsworker::prelude::*;

use crate::raw::{Frame, Head, RawClient, encode_all};
use crate::server::{Event, Recorded, Served, eventually, within};

async fn vanishes(bytes: Vec<u8>) {
    let mut server = Recorded::start().await;
    let mut client = RawClient::open(server.addr).await;
    let ws = server.opened().await;
    server.expect(Event::Open).await;
    client.send_raw(bytes).await;
    drop(client);
    server.expect_unclean(1006).await;
    assert_eq!(ws.state(), State::Closed);
    assert!(ws.send("anyone?").unwrap_err().is_closed());
    assert_eq!(server.finish().await, []);
}

#[test]
fn a_dropped_connection_is_1006_once_and_no_error() {
    within(async || vanishes(Vec::new()).await);
}

#[test]
fn a_connection_dropped_inside_a_header_is_1006() {
    within(async || vanishes(vec![0x81]).await);
}

#[test]
fn a_connection_dropped_inside_a_frame_is_1006() {
    within(async || vanishes(Frame::text("part").announcing(100).encode()).await);
}

#[test]
fn a_connection_dropped_inside_a_message_is_1006() {
    within(async || vanishes(Frame::text("part").unfinished().encode()).await);
}

#[test]
fn a_reset_connection_is_1006_once() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("x".repeat(1000))).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("x".repeat(1000))).await;
        // Unread bytes make the drop a RST.
        client.reader.read_one_byte().await;
        drop(client);
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn what_came_before_the_drop_is_delivered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [Frame::text("!quiet 1"), Frame::text("!quiet 2")];
        client.send_all(frames).await;
        drop(client);
        server.expect(Event::Open).await;
        server.expect(Event::text("!quiet 1")).await;
        server.expect(Event::text("!quiet 2")).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_peer_that_only_stops_sending_still_gets_its_answers() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send_all([Frame::text("!wake")]).await;
        client.writer.shutdown().await;
        client.expect_text("!wake").await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!wake")).await;
        server.expect_unclean(1006).await;
    });
}

#[test]
fn a_drop_while_a_handler_holds_is_told_after_it() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        drop(client);
        server.expect_quiet().await;
        server.release();
        // The echo finds the socket closed or goes nowhere: either is a close.
        let mut event = server.next().await;
        if matches!(event, Event::Error(_)) {
            event = server.next().await;
        }
        let unclean = matches!(
            event,
            Event::Close {
                was_clean: false,
                ..
            }
        );
        assert!(unclean, "{event:?}");
        assert_eq!(server.finish().await, []);
    });
}

/// As while a handler waits, but nothing is read any more: more came than is read
/// ahead.
#[test]
fn a_reset_is_noticed_while_nothing_is_read() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        // Its answer is not read, which makes the drop a RST.
        client.send(Frame::text("unread")).await;
        client.reader.read_one_byte().await;
        client.send(Frame::text("!hold")).await;
        let more = encode_all((0..300).map(|_| Frame::text(format!("!quiet {:>1000}", ""))));
        client.send_raw(more).await;
        for text in ["unread", "!hold"] {
            while server.next().await != Event::text(text) {}
        }
        server.expect_quiet().await;
        assert_eq!(ws.state(), State::Open);
        drop(client);
        eventually("it is closed", || ws.state() == State::Closed).await;
        // Its descriptor is free, and the handler goes on none the wiser.
        server.expect_quiet().await;
        server.release();
        let mut last = server.next().await;
        while matches!(last, Event::Text(_)) {
            last = server.next().await;
        }
        let unclean = matches!(last, Event::Close { code: 1006, .. });
        assert!(unclean, "{last:?}");
        assert_eq!(server.finish().await, []);
    });
}

/// The same, where all of it was there before the connection was accepted.
#[test]
fn a_reset_is_noticed_of_one_that_sent_all_at_once() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut bytes = Head::upgrade("/", &server.addr.to_string()).encode();
        bytes.extend(Frame::text("!hold").encode());
        let more = (0..300).map(|_| Frame::text(format!("!quiet {:>1000}", "")));
        bytes.extend(encode_all(more));
        let client = RawClient::connect_with(server.addr, bytes);
        let ws = server.opened().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        server.expect_quiet().await;
        assert_eq!(ws.state(), State::Open);
        // Its 101 is not read, which makes the drop a RST.
        drop(client);
        eventually("it is closed", || ws.state() == State::Closed).await;
        server.release();
    });
}

/// Answers each message a little later, and counts.
#[worker]
#[derive(Clone, Default)]
struct Late {
    heard: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    closed: Arc<AtomicU16>,
}

impl Worker for Late {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.heard.fetch_add(1, Ordering::Relaxed);
        ws.send(message)
    }

    async fn on_error(&mut self, _: &WebSocket, _: &Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_close(&mut self, _: &WebSocket, close: CloseEvent) {
        self.closed.store(close.code, Ordering::Relaxed);
    }
}

/// The answers that it does not read make the peer's kernel reset the connection.
#[test]
fn what_was_read_before_a_reset_is_delivered_and_its_answers_are_no_failures() {
    within(async || {
        for (last, code) in [(Some(Frame::close(1000, "")), 1000), (None, 1006)] {
            let worker = Late::default();
            let server = Served::start(worker.clone()).await;
            let mut client = RawClient::open(server.addr).await;
            client
                .send_all((0..50).map(|n| Frame::text(n.to_string())).chain(last))
                .await;
            drop(client);
            eventually("the close", || worker.closed.load(Ordering::Relaxed) != 0).await;
            assert_eq!(worker.closed.load(Ordering::Relaxed), code);
            assert_eq!(worker.heard.load(Ordering::Relaxed), 50);
            assert_eq!(worker.failed.load(Ordering::Relaxed), 0);
        }
    });
}
