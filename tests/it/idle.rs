//! Peers that go silent: a ping after half the idle time, the end after all of it.
//! Does not treat peers that are slow in the middle of something: `slow` does.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use wsworker::prelude::*;

use crate::raw::{Frame, PONG, RawClient, encode_all};
use crate::server::{Event, Recorded, Served, within};

const IDLE: Duration = Duration::from_millis(800);

/// How late the server's clock may be.
const SLACK: Duration = Duration::from_millis(350);

#[test]
fn a_silent_peer_is_pinged_and_then_dropped_with_1006() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.idle_timeout(IDLE)).await;
        let begun = Instant::now();
        let mut client = RawClient::open(server.addr).await;
        client.expect_ping().await;
        let pinged = begun.elapsed();
        assert!(pinged >= IDLE * 3 / 8, "{pinged:?}");
        assert!(pinged <= IDLE / 2 + SLACK, "{pinged:?}");
        // TCP is dropped without a Close.
        client.expect_eof().await;
        let dropped = begun.elapsed();
        assert!(dropped >= IDLE * 7 / 8, "{dropped:?}");
        assert!(dropped <= IDLE + SLACK, "{dropped:?}");
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_pong_keeps_a_silent_peer() {
    within(async || {
        let server = Recorded::start_with(|s| s.idle_timeout(IDLE)).await;
        let mut client = RawClient::open(server.addr).await;
        let begun = Instant::now();
        while begun.elapsed() < IDLE * 3 {
            let payload = client.expect_ping().await;
            client.send(Frame::pong(payload)).await;
        }
        client.send(Frame::text("still here")).await;
        client.expect_text("still here").await;
    });
}

#[test]
fn a_peer_that_talks_is_not_pinged() {
    within(async || {
        let server = Recorded::start_with(|s| s.idle_timeout(IDLE)).await;
        let mut client = RawClient::open(server.addr).await;
        let begun = Instant::now();
        while begun.elapsed() < IDLE * 2 {
            client.send(Frame::text("talk")).await;
            client.expect_text("talk").await;
            sleep(IDLE / 8).await;
        }
    });
}

#[test]
fn what_we_send_does_not_keep_a_silent_peer() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.idle_timeout(IDLE)).await;
        let client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        let begun = Instant::now();
        while ws.send("hello?").is_ok() {
            assert!(begun.elapsed() < IDLE + SLACK, "still there");
            sleep(IDLE / 16).await;
        }
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
        drop(client);
    });
}

#[test]
fn a_silent_peer_is_dropped_though_a_handler_waits() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.idle_timeout(IDLE)).await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        client.expect_ping().await;
        client.expect_eof().await;
        server.release();
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let rest = server.finish().await;
        let closes = rest.iter().filter(|e| matches!(e, Event::Close { .. }));
        assert_eq!(closes.count(), 1, "{rest:?}");
    });
}

#[test]
fn the_clock_stops_while_the_server_does_not_read() {
    within(async || {
        let mut server =
            Recorded::start_with(|s| s.idle_timeout(IDLE).max_buffered(16 * 1024)).await;
        let mut client = server.open_unix().await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let filler = format!("!quiet {}", "x".repeat(10_000));
        let bytes = encode_all((0..300).map(|_| Frame::text(&filler)));
        let sent = client.writer.send_until_stalled(&bytes).await;
        assert!(sent < bytes.len(), "the server never stops reading");
        // Whatever we would say now, it could not be heard.
        sleep(IDLE * 2).await;
        server.release();
        client.send_raw(&bytes[sent..]).await;
        client.send(Frame::text("all said")).await;
        loop {
            let frame = client.read_frame().await;
            match frame.opcode {
                crate::raw::PING => client.send(Frame::new(PONG, &frame.payload)).await,
                _ if frame.text() == "all said" => return,
                _ => assert_eq!(frame.text(), "!hold"),
            }
        }
    });
}

#[test]
fn a_peer_that_takes_nothing_is_dropped_with_1006() {
    within(async || {
        // It does not even take the ping.
        let mut server =
            Recorded::start_with(|s| s.idle_timeout(IDLE).max_buffered(16 * 1024)).await;
        let _client = server.open_unix().await;
        let ws = server.opened().await;
        let begun = Instant::now();
        while !ws.send(vec![0; 4096]).is_err_and(|error| error.is_closed()) {
            assert!(begun.elapsed() < IDLE * 2, "still there");
            sleep(Duration::from_millis(1)).await;
        }
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

/// Blocks its thread, as no handler should.
#[worker(idle_timeout = "800ms")]
#[derive(Clone)]
struct Blocks;

impl Worker for Blocks {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        if message.as_text() == Some("block") {
            std::thread::sleep(IDLE * 2);
        }
        ws.send(message)
    }
}

#[test]
fn a_thread_that_stood_still_takes_nobody_for_silent() {
    within(async || {
        let server = Served::start(Blocks).await;
        let mut bystander = RawClient::open(server.addr).await;
        let mut blocker = RawClient::open(server.addr).await;
        blocker.send(Frame::text("block")).await;
        blocker.expect_text("block").await;
        bystander.send(Frame::text("still here")).await;
        bystander.expect_text("still here").await;
    });
}
