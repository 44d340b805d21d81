//! Peers that are slow on purpose, or ask for more than they take.
//! Does not treat silence between messages: `idle` does.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use wsworker::prelude::*;

use crate::raw::{Frame, PONG, RawClient, encode_all};
use crate::server::{Event, Recorded, Served, within};

const DEADLINE: Duration = Duration::from_millis(300);
const SLACK: Duration = Duration::from_millis(350);

/// Starts with these bytes, goes on with more of them slowly, and wants 1008
/// within the frame's deadline.
async fn is_cut_off(start: &[u8], then: &[u8]) {
    let mut server = Recorded::start_with(|s| s.frame_timeout(DEADLINE)).await;
    let mut client = RawClient::open(server.addr).await;
    let begun = Instant::now();
    client.send_raw(start).await;
    for byte in then {
        sleep(DEADLINE / 4).await;
        if begun.elapsed() > DEADLINE / 2 + SLACK || !client.writer.try_send([*byte]).await {
            break;
        }
    }
    client.expect_close(1008).await;
    let took = begun.elapsed();
    assert!(took >= DEADLINE * 6 / 10, "{took:?}");
    assert!(took <= DEADLINE + SLACK, "{took:?}");
    client.expect_eof().await;
    server.expect(Event::Open).await;
    server.expect_error().await;
    server.expect_unclean(1008).await;
    assert_eq!(server.finish().await, []);
}

#[test]
fn a_frame_that_drips_is_1008() {
    within(async || {
        let frame = Frame::text("x".repeat(60)).encode();
        is_cut_off(&frame[..8], &frame[8..]).await;
    });
}

#[test]
fn a_frame_that_stops_is_1008() {
    within(async || {
        is_cut_off(&Frame::binary("part").announcing(100_000).encode(), &[]).await;
    });
}

#[test]
fn a_header_that_stops_is_1008() {
    within(async || {
        is_cut_off(&[0x81], &[]).await;
        is_cut_off(&[0x81, 0xfe, 0x01], &[]).await;
    });
}

#[test]
fn the_deadline_is_for_each_frame_and_not_for_a_message() {
    within(async || {
        let server = Recorded::start_with(|s| s.frame_timeout(DEADLINE)).await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("a").unfinished()).await;
        for _ in 0..4 {
            sleep(DEADLINE / 2).await;
            client.send(Frame::continuation("b").unfinished()).await;
        }
        client.send(Frame::continuation("c")).await;
        client.expect_text("abbbbc").await;
    });
}

#[test]
fn the_frames_deadline_does_not_run_while_the_server_does_not_read() {
    within(async || {
        let mut server =
            Recorded::start_with(|s| s.frame_timeout(DEADLINE).max_buffered(16 * 1024)).await;
        let mut client = server.open_unix().await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let filler = format!("!quiet {}", "x".repeat(10_000));
        let bytes = encode_all((0..300).map(|_| Frame::text(&filler)));
        let sent = client.writer.send_until_stalled(&bytes).await;
        assert!(sent < bytes.len(), "the server never stops reading");
        sleep(DEADLINE * 2).await;
        server.release();
        client.send_raw(&bytes[sent..]).await;
        client.send(Frame::text("all said")).await;
        client.expect_text("!hold").await;
        client.expect_text("all said").await;
    });
}

#[test]
fn a_large_frame_may_take_long_as_long_as_it_moves() {
    within(async || {
        let server = Recorded::start_with(|s| s.frame_timeout(DEADLINE)).await;
        let mut client = RawClient::open(server.addr).await;
        let payload = vec![7; 600_000];
        for part in Frame::binary(&payload).encode().chunks(80_000) {
            client.send_raw(part).await;
            sleep(DEADLINE / 5).await;
        }
        client.expect_binary(&payload).await;
    });
}

#[test]
fn half_open_handshakes_are_dropped_and_hold_up_nobody() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(DEADLINE)).await;
        let begun = Instant::now();
        let mut clients = Vec::new();
        for i in 0..200 {
            let mut client = RawClient::connect(server.addr).await;
            let head = client.upgrade().encode();
            client.send_raw(&head[..(i % 4) * head.len() / 4]).await;
            clients.push(client);
        }
        let mut good = RawClient::open(server.addr).await;
        good.send(Frame::text("hello")).await;
        good.expect_text("hello").await;
        for mut client in clients {
            let answer = client.reader.read_to_end().await;
            let text = String::from_utf8_lossy(&answer);
            let refused = text.is_empty() || text.starts_with("HTTP/1.1 408 ");
            assert!(refused, "{text:?}");
        }
        let took = begun.elapsed();
        assert!(took < DEADLINE + Duration::from_secs(2), "{took:?}");
        good.close().await;
    });
}

#[test]
fn a_flood_of_pings_is_bounded() {
    within(async || {
        const COUNT: usize = 20_000;
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * 1024)).await;
        let mut client = server.open_unix().await;
        let ws = server.opened().await;
        let bytes = encode_all((0..COUNT).map(|i| Frame::ping(format!("{i:>100}"))));
        let sent = client.writer.send_until_stalled(&bytes).await;
        println!("{sent} of {} bytes were taken", bytes.len());
        assert!(ws.buffered() <= 160 * 1024, "{} bytes wait", ws.buffered());
        // Every answer answers a ping, in order; RFC 6455 §5.5.3 lets a server
        // answer only the last of several.
        let (mut reader, mut writer) = (client.reader, client.writer);
        let writing = tokio::spawn(async move {
            writer.send_raw(&bytes[sent..]).await;
            writer
                .send_raw(Frame::text("after the flood").encode())
                .await;
            writer
        });
        let mut last = None;
        loop {
            let frame = reader.read_frame().await;
            if frame.opcode != PONG {
                assert_eq!(frame.text(), "after the flood");
                break;
            }
            let number: usize = frame_number(&frame.payload);
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
        }
        assert_eq!(last, Some(COUNT - 1), "the last ping is answered");
        writing.await.unwrap();
    });
}

/// Answers only the one who asks.
#[worker]
#[derive(Clone)]
struct Answers;

impl Worker for Answers {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        match message.as_text() {
            Some("me too") => ws.send(message),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_flood_of_messages_starves_nobody() {
    within(async || {
        let server = Served::start(Answers).await;
        let mut flooder = RawClient::open(server.addr).await;
        let flood = encode_all((0..10_000).map(|_| Frame::text("flood")));
        let flooding = tokio::spawn(async move {
            loop {
                flooder.send_raw(&flood).await;
            }
        });
        let mut other = RawClient::open(server.addr).await;
        let mut took = Vec::new();
        for _ in 0..21 {
            let begun = Instant::now();
            other.send(Frame::text("me too")).await;
            other.expect_text("me too").await;
            took.push(begun.elapsed());
        }
        // The median: a busy machine may well take one of them away for a while.
        took.sort_unstable();
        assert!(took[10] < Duration::from_millis(500), "{took:?}");
        flooding.abort();
    });
}

/// Takes its time over each message, and does not let go of its thread.
#[worker]
#[derive(Clone)]
struct Computes;

impl Worker for Computes {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        if message.as_text() == Some("me too") {
            return ws.send(message);
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {}
        Ok(())
    }
}

#[test]
fn a_flood_for_a_slow_handler_starves_nobody() {
    within(async || {
        let server = Served::start(Computes).await;
        let mut flooder = RawClient::open(server.addr).await;
        let mut other = RawClient::open(server.addr).await;
        flooder
            .send_all((0..1000).map(|_| Frame::text("flood")))
            .await;
        let begun = Instant::now();
        other.send(Frame::text("me too")).await;
        other.expect_text("me too").await;
        // All of the flood takes two seconds.
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1000), "{took:?}");
    });
}

fn frame_number(payload: &[u8]) -> usize {
    let text = std::str::from_utf8(payload).expect("a pong has its ping's payload");
    text.trim().parse().expect("a pong has its ping's payload")
}

#[test]
fn a_flood_of_pings_while_a_handler_waits_is_bounded() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * 1024)).await;
        let mut client = server.open_unix().await;
        let ws = server.opened().await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let bytes = encode_all((0..20_000).map(|_| Frame::ping([b'p'; 100])));
        client.writer.send_until_stalled(&bytes).await;
        assert!(ws.buffered() <= 160 * 1024, "{} bytes wait", ws.buffered());
        drop(client);
        server.release();
        while !matches!(server.next().await, Event::Close { .. }) {}
        assert_eq!(server.finish().await, []);
    });
}
