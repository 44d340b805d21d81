//! The worker closes.
//! Does not treat closes that the server makes of a failure: `failures` does.

use std::time::{Duration, Instant};

use wsworker::State;

use crate::raw::{Frame, RawClient};
use crate::server::{CLOSE_TIMEOUT, Event, Recorded, within};

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
