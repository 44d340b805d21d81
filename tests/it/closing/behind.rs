//! Connections that end while a handler waits.
//! Does not treat messages that wait: `order` does.

use std::time::{Duration, Instant};

use crate::raw::{Frame, QUIET, RawClient, encode_all};
use crate::server::{CLOSE_TIMEOUT, Event, Recorded, eventually, within};

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
            let sending = std::thread::spawn(move || {
                while !ws.send("more").is_err_and(|error| error.is_closed()) {
                    std::thread::yield_now();
                }
            });
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
