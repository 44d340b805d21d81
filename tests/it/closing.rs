//! How connections end (RFC 6455 §5.5.1, §7): by the peer, by us, by a failure.
//! Does not treat shutting the server down: that is `serve`.

use std::time::{Duration, Instant};

use wsworker::State;
use wsworker::prelude::*;

use crate::raw::{CLOSE, Frame, QUIET, RawClient, encode_all};
use crate::server::{CLOSE_TIMEOUT, Event, Recorded, SECRET, Served, eventually, within};

// The peer closes

#[test]
fn a_peers_close_is_answered_with_its_code_and_reason() {
    within(async || {
        for (code, reason) in [
            (1000, "done"),
            (1001, ""),
            (4001, "see you"),
            (3000, ""),
            (4999, ""),
        ] {
            let mut server = Recorded::start().await;
            let mut client = RawClient::open(server.addr).await;
            client.send(Frame::close(code, reason)).await;
            assert_eq!(client.expect_close(code).await, reason);
            client.expect_clean_eof().await;
            server.expect(Event::Open).await;
            server.expect(Event::clean(code, reason)).await;
            assert_eq!(server.finish().await, []);
        }
    });
}

#[test]
fn a_peers_close_without_a_code_is_88_00_and_1005() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::close_empty()).await;
        client.expect_empty_close().await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1005, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn every_code_that_may_be_sent_is_echoed() {
    within(async || {
        let server = Recorded::start().await;
        for code in [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3999, 4000,
        ] {
            let mut client = RawClient::open(server.addr).await;
            client.send(Frame::close(code, "")).await;
            client.expect_close(code).await;
            client.expect_clean_eof().await;
        }
    });
}

#[test]
fn a_code_that_may_not_be_sent_is_1002() {
    within(async || {
        for code in [
            0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
        ] {
            violates(1002, Frame::close(code, "x").encode()).await;
        }
    });
}

#[test]
fn a_close_body_of_one_byte_is_1002() {
    within(async || violates(1002, Frame::new(CLOSE, [3]).encode()).await);
}

#[test]
fn a_reason_that_is_not_utf_8_is_1007() {
    within(async || {
        violates(1007, Frame::close(1000, b"\xff").encode()).await;
        violates(1007, Frame::close(1000, b"cut \xe2\x82").encode()).await;
    });
}

#[test]
fn a_close_body_over_125_bytes_is_1002() {
    within(async || {
        violates(1002, Frame::close(1000, [b'x'; 124]).encode()).await;
        let announced = Frame::new(CLOSE, "").announcing(60_000);
        violates(1002, announced.encode()).await;
    });
}

#[test]
fn a_reason_of_123_bytes_is_echoed() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let reason = "r".repeat(123);
        client.send(Frame::close(1000, &reason)).await;
        assert_eq!(client.expect_close(1000).await, reason);
    });
}

async fn violates(code: u16, bytes: Vec<u8>) {
    println!("sending {:x?}", &bytes[..bytes.len().min(12)]);
    let mut server = Recorded::start().await;
    let mut client = RawClient::open(server.addr).await;
    client.send_raw(bytes).await;
    client.expect_close(code).await;
    client.hang_up().await;
    server.expect(Event::Open).await;
    server.expect_error().await;
    server.expect_unclean(code).await;
    assert_eq!(server.finish().await, []);
}

#[test]
fn data_after_a_close_is_ignored() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [
            Frame::close(1000, ""),
            Frame::text("late"),
            Frame::ping("late"),
            Frame::text("bad").rsv(4),
            Frame::close(1001, ""),
        ];
        client.send_all(frames).await;
        client.expect_close(1000).await;
        client.expect_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_close_inside_a_fragmented_message_is_answered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [Frame::text("half").unfinished(), Frame::close(1000, "")];
        client.send_all(frames).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

// The peer goes away

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

// We close

#[test]
fn close_is_88_00_and_done_when_the_peer_answers() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        assert_eq!(ws.state(), State::Open);
        ws.close().unwrap();
        assert_eq!(ws.state(), State::Closing);
        client.expect_empty_close().await;
        client.send(Frame::close_empty()).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1005, "")).await;
        assert_eq!(ws.state(), State::Closed);
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn close_with_sends_code_and_reason_and_tells_what_the_peer_sent() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        ws.close_with(1000_u16, "x").unwrap();
        assert_eq!(client.expect_close(1000).await, "x");
        client.send(Frame::close(4002, "mine")).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(4002, "mine")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn close_in_a_handler_comes_after_what_it_sent() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client
            .send_all([Frame::text("first"), Frame::text("!close 4000 bye")])
            .await;
        client.expect_text("first").await;
        assert_eq!(client.expect_close(4000).await, "bye");
        client.send(Frame::close(4000, "bye")).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("first")).await;
        server.expect(Event::text("!close 4000 bye")).await;
        server.expect(Event::clean(4000, "bye")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_close_that_nobody_answers_ends_in_a_drop_and_1006() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        let begun = Instant::now();
        ws.close_with(1000_u16, "").unwrap();
        client.expect_close(1000).await;
        client.expect_eof().await;
        let took = begun.elapsed();
        assert!(took >= CLOSE_TIMEOUT * 8 / 10, "only {took:?}");
        assert!(took < CLOSE_TIMEOUT * 4, "{took:?}");
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_peer_that_keeps_talking_does_not_move_the_closing_deadline() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        ws.close().unwrap();
        client.expect_empty_close().await;
        let begun = Instant::now();
        let chatter = Frame::text("chatter").encode();
        while client.writer.try_send(&chatter).await {
            assert!(begun.elapsed() < CLOSE_TIMEOUT * 6, "still open");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
    });
}

#[test]
fn messages_after_our_close_are_not_delivered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [
            Frame::text("!close 4000"),
            Frame::text("in the same packet"),
        ];
        client.send_all(frames).await;
        client.expect_close(4000).await;
        client
            .send_all([Frame::text("later"), Frame::close(4000, "")])
            .await;
        client.expect_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!close 4000")).await;
        server.expect(Event::clean(4000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn two_closes_that_cross_are_one_clean_close() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        // Ours is queued before the server can have read the peer's.
        client.send(Frame::close(4001, "theirs")).await;
        let closed = ws.close_with(4000_u16, "ours");
        let frame = client.read_frame().await;
        if closed.is_ok() {
            assert!(matches!(frame.close_code(), Some(4000 | 4001)));
        }
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(4001, "theirs")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn codes_that_may_not_be_sent_are_an_error_and_the_socket_lives() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        for code in [
            0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535,
        ] {
            let error = ws.close_with(code, "").unwrap_err().to_string();
            assert!(error.contains(&code.to_string()), "{error}");
        }
        assert_eq!(ws.state(), State::Open);
        client.send(Frame::text("alive")).await;
        client.expect_text("alive").await;
    });
}

#[test]
fn codes_that_may_be_sent_are_sent() {
    within(async || {
        let mut server = Recorded::start().await;
        for code in [
            1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
            4000, 4999,
        ] {
            let mut client = RawClient::open(server.addr).await;
            let ws = server.opened().await;
            ws.close_with(code, "").unwrap();
            client.expect_close(code).await;
            client.send(Frame::close(code, "")).await;
            client.expect_clean_eof().await;
        }
    });
}

#[test]
fn a_reason_is_counted_in_bytes() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        for long in ["r".repeat(124), "é".repeat(62), "\u{1F600}".repeat(31)] {
            let error = ws.close_with(1000_u16, &long).unwrap_err().to_string();
            assert!(error.contains("123"), "the limit is named: {error}");
        }
        let fits = "é".repeat(61) + "r";
        assert_eq!(fits.len(), 123);
        ws.close_with(1000_u16, &fits).unwrap();
        assert_eq!(client.expect_close(1000).await, fits);
    });
}

#[test]
fn closing_twice_is_one_close() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        ws.close_with(4000_u16, "first").unwrap();
        ws.close_with(4001_u16, "second").unwrap();
        ws.close().unwrap();
        assert_eq!(client.expect_close(4000).await, "first");
        client.send(Frame::close(4000, "")).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(4000, "")).await;
        // And after the end of it all.
        ws.close().unwrap();
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_send_after_close_is_an_error_that_says_so() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        ws.close().unwrap();
        let error = ws.send("late").unwrap_err();
        assert!(error.is_closed());
        assert!(error.to_string().contains("closed"), "{error}");
        client.expect_empty_close().await;
        client.send(Frame::close_empty()).await;
        client.expect_clean_eof().await;
        assert!(ws.send("too late").unwrap_err().is_closed());
    });
}

#[test]
fn a_ping_is_not_answered_after_our_close() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        server.opened().await.close().unwrap();
        client.expect_empty_close().await;
        // RFC 6455 §5.5.1: no frame after a Close but the peer's reply.
        client
            .send_all([Frame::ping("late"), Frame::close_empty()])
            .await;
        client.expect_eof().await;
    });
}

// Handlers that fail

async fn handler_fails(message: &str, wanted: &str) {
    let mut server = Recorded::start().await;
    let mut other = RawClient::open(server.addr).await;
    server.expect(Event::Open).await;
    let mut client = RawClient::open(server.addr).await;
    server.expect(Event::Open).await;
    client
        .send_all([
            Frame::text("before"),
            Frame::text(message),
            Frame::text("after"),
        ])
        .await;
    client.expect_text("before").await;
    let reason = client.expect_close(1011).await;
    assert!(!reason.contains(SECRET), "nothing internal: {reason}");
    client.expect_eof().await;
    server.expect(Event::text("before")).await;
    server.expect(Event::text(message)).await;
    let error = server.expect_error().await;
    assert!(error.contains(wanted), "{error}");
    server.expect_unclean(1011).await;
    // Nobody else is touched.
    other.send(Frame::text("and I?")).await;
    other.expect_text("and I?").await;
    server.expect(Event::text("and I?")).await;
    other.close().await;
    server.expect(Event::clean(1000, "")).await;
    assert_eq!(server.finish().await, []);
}

#[test]
fn a_handlers_error_closes_its_connection_with_1011() {
    within(async || handler_fails("!fail", SECRET).await);
}

#[test]
fn a_handlers_panic_closes_its_connection_with_1011() {
    within(async || handler_fails("!panic", SECRET).await);
}

async fn open_fails(path: &str) {
    let mut server = Recorded::start().await;
    let mut client = RawClient::open_at(server.addr, path).await;
    client.expect_close(1011).await;
    client.expect_eof().await;
    server.expect_error().await;
    server.expect_unclean(1011).await;
    assert_eq!(server.finish().await, []);
}

#[test]
fn an_error_in_on_open_closes_with_1011() {
    within(async || open_fails("/open-fail").await);
}

#[test]
fn a_panic_in_on_open_closes_with_1011() {
    within(async || open_fails("/open-panic").await);
}

#[test]
fn a_panic_in_on_close_touches_nobody_else() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open_at(server.addr, "/close-panic").await;
        client.send(Frame::close(1000, "")).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        RawClient::open(server.addr).await.close().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_panic_in_on_error_still_reaches_on_close() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open_at(server.addr, "/error-panic").await;
        client.send(Frame::text("!fail")).await;
        client.expect_close(1011).await;
        client.expect_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!fail")).await;
        server.expect_error().await;
        server.expect_unclean(1011).await;
        RawClient::open(server.addr).await.close().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

/// Counts its messages and tells the count when its connection ends.
#[worker]
#[derive(Clone)]
struct Counts {
    messages: usize,
    ended: tokio::sync::mpsc::UnboundedSender<(&'static str, usize)>,
}

impl Worker for Counts {
    async fn on_message(&mut self, _ws: &WebSocket, message: Message) -> Result<()> {
        self.messages += 1;
        tokio::task::yield_now().await;
        assert!(message.as_text() != Some("!panic"), "as told");
        if message.as_text() == Some("!fail") {
            return Err(Error::new("as told"));
        }
        Ok(())
    }

    async fn on_error(&mut self, _ws: &WebSocket, _error: &Error) {
        let _ = self.ended.send(("error", self.messages));
    }

    async fn on_close(&mut self, _ws: &WebSocket, _close: CloseEvent) {
        let _ = self.ended.send(("close", self.messages));
    }
}

#[test]
fn the_last_callbacks_run_on_the_value_that_failed() {
    within(async || {
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let server = Served::start(Counts { messages: 0, ended }).await;
        for last in ["!fail", "!panic"] {
            let mut client = RawClient::open(server.addr).await;
            client.send_all([Frame::text("a"), Frame::text(last)]).await;
            client.expect_close(1011).await;
            assert_eq!(ends.recv().await, Some(("error", 2)));
            assert_eq!(ends.recv().await, Some(("close", 2)));
        }
    });
}

/// Says what its socket is like when its connection ends.
#[worker]
#[derive(Clone)]
struct Last {
    said: tokio::sync::mpsc::UnboundedSender<(State, bool, bool)>,
}

impl Worker for Last {
    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        Ok(())
    }

    async fn on_close(&mut self, ws: &WebSocket, _close: CloseEvent) {
        let refused = ws.send("late").is_err_and(|error| error.is_closed());
        let _ = self.said.send((ws.state(), refused, ws.close().is_ok()));
    }
}

#[test]
fn the_socket_is_closed_when_on_close_runs() {
    within(async || {
        let (said, mut saying) = tokio::sync::mpsc::unbounded_channel();
        let server = Served::start(Last { said }).await;
        RawClient::open(server.addr).await.close().await;
        assert_eq!(saying.recv().await, Some((State::Closed, true, true)));
        drop(RawClient::open(server.addr).await);
        assert_eq!(saying.recv().await, Some((State::Closed, true, true)));
    });
}

// A Close behind a handler

#[test]
fn our_close_leaves_at_once_though_a_handler_holds() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.close_timeout(Duration::from_secs(4))).await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        ws.close_with(4000_u16, "now").unwrap();
        assert_eq!(client.expect_close(4000).await, "now");
        client.send(Frame::close(4000, "")).await;
        server.release();
        // Its echo comes too late.
        let error = server.expect_error().await;
        assert!(error.contains("closed"), "{error}");
        client.expect_eof().await;
        assert!(matches!(server.next().await, Event::Close { .. }));
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn sends_race_with_the_end_and_nothing_breaks() {
    within(async || {
        let mut server = Recorded::start().await;
        for round in 0..50 {
            let mut client = RawClient::open(server.addr).await;
            let ws = server.opened().await;
            let sending = std::thread::spawn(move || while ws.send("more").is_ok() {});
            client.expect_text("more").await;
            match round % 3 {
                0 => drop(client),
                1 => client.send(Frame::close(1000, "")).await,
                _ => client.send(Frame::text("bad").rsv(4)).await,
            }
            let begun = Instant::now();
            while !sending.is_finished() {
                assert!(begun.elapsed() < crate::raw::DEADLINE, "it sends for ever");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            sending.join().unwrap();
        }
    });
}

#[test]
fn a_close_is_answered_after_the_messages_before_it_were_handled() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.close_timeout(Duration::from_secs(4))).await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [
            Frame::text("!hold"),
            Frame::text("b"),
            Frame::close(1000, "end"),
        ];
        client.send_all(frames).await;
        client.expect_quiet().await;
        server.release();
        client.expect_text("!hold").await;
        client.expect_text("b").await;
        assert_eq!(client.expect_close(1000).await, "end");
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        server.expect(Event::text("b")).await;
        server.expect(Event::clean(1000, "end")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_close_is_answered_in_time_though_a_handler_holds() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let begun = Instant::now();
        client.send(Frame::close(1000, "")).await;
        client.expect_close(1000).await;
        let took = begun.elapsed();
        assert!(took < CLOSE_TIMEOUT + QUIET, "{took:?}");
        client.expect_eof().await;
        server.release();
        let mut closes = 0;
        let mut rest = vec![server.next().await];
        rest.extend(server.finish().await);
        for event in &rest {
            closes += usize::from(matches!(event, Event::Close { .. }));
        }
        assert_eq!(closes, 1, "{rest:?}");
        assert!(matches!(rest.last(), Some(Event::Close { .. })), "{rest:?}");
    });
}

#[test]
fn a_violation_behind_a_handler_is_told_after_it() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let bytes = encode_all([Frame::text("!hold"), Frame::text("x").rsv(4)]);
        client.send_raw(bytes).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        server.release();
        client.expect_text("!hold").await;
        client.expect_close(1002).await;
        client.expect_eof().await;
        server.expect_error().await;
        server.expect_unclean(1002).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_closed_connection_is_no_longer_counted() {
    within(async || {
        let server = Recorded::start().await;
        let handle = server.served.handle.clone();
        let client = RawClient::open(server.addr).await;
        eventually("one connection", || handle.connections() == 1).await;
        client.close().await;
        eventually("no connection", || handle.connections() == 0).await;
    });
}
