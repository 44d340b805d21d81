//! The order of callbacks, and reading ahead while one of them waits.
//! Does not treat what the server sends faster than it is read: `backpressure` does.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use wsworker::prelude::*;

use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Event, Recorded, Served, within};

#[test]
fn on_open_ends_before_the_first_message() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open_at(server.addr, "/open-hold").await;
        client.send(Frame::text("first")).await;
        server.expect_quiet().await;
        client.expect_quiet().await;
        server.release();
        server.expect(Event::Open).await;
        server.expect(Event::text("first")).await;
        client.expect_text("first").await;
    });
}

#[test]
fn what_on_open_sends_comes_first() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let mut bytes = crate::raw::Head::upgrade("/open-hello", client.host()).encode();
        bytes.extend(Frame::text("echo").encode());
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        client.expect_text("hello").await;
        client.expect_text("echo").await;
    });
}

#[test]
fn a_close_while_on_open_waits_is_told_after_it() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.close_timeout(Duration::from_secs(4))).await;
        let mut client = RawClient::open_at(server.addr, "/open-hold").await;
        client.send(Frame::close(1000, "")).await;
        server.expect_quiet().await;
        server.release();
        client.expect_close(1000).await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

/// Suspends in the middle of each message and tells when it began and ended.
#[worker]
#[derive(Clone)]
struct Suspends {
    log: UnboundedSender<String>,
}

impl Worker for Suspends {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let text = message.as_text().unwrap_or_default().to_owned();
        let _ = self.log.send(format!("begin {text}"));
        if text.ends_with(['0', '3', '6']) {
            sleep(Duration::from_millis(1)).await;
        } else if !text.ends_with('9') {
            tokio::task::yield_now().await;
        }
        let _ = self.log.send(format!("end {text}"));
        ws.send(text)
    }
}

#[test]
fn messages_are_handled_one_after_the_other() {
    within(async || {
        let (log, mut seen) = unbounded_channel();
        let server = Served::start(Suspends { log }).await;
        let mut client = RawClient::open(server.addr).await;
        let frames = (0..60).map(|i| Frame::text(i.to_string()));
        client.send_all(frames).await;
        for i in 0..60 {
            client.expect_text(&i.to_string()).await;
            assert_eq!(seen.recv().await, Some(format!("begin {i}")));
            assert_eq!(seen.recv().await, Some(format!("end {i}")));
        }
    });
}

#[test]
fn a_waiting_handler_holds_up_no_other_connection() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut held = RawClient::open(server.addr).await;
        held.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let mut other = RawClient::open(server.addr).await;
        other.send(Frame::text("free")).await;
        other.expect_text("free").await;
    });
}

#[test]
fn pings_are_answered_while_a_handler_waits() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        client.send(Frame::ping("1")).await;
        client.expect_pong(b"1").await;
        // Also those behind messages that wait.
        client
            .send_all([Frame::text("waits"), Frame::ping("2")])
            .await;
        client.expect_pong(b"2").await;
        server.release();
        client.expect_text("!hold").await;
        client.expect_text("waits").await;
    });
}

#[test]
fn pings_in_the_packet_of_the_message_that_waits_are_answered() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [
            Frame::text("!hold"),
            Frame::text("waits"),
            Frame::ping("behind"),
        ];
        client.send_all(frames).await;
        client.expect_pong(b"behind").await;
        server.release();
        client.expect_text("!hold").await;
        client.expect_text("waits").await;
    });
}

#[test]
fn what_a_handler_sends_before_it_waits_leaves_at_once() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client
            .send_all([Frame::text("first"), Frame::text("!hold")])
            .await;
        client.expect_text("first").await;
        server.release();
        client.expect_text("!hold").await;
    });
}

/// Numbered frames of about 1 KiB.
fn numbered(count: usize) -> Vec<u8> {
    encode_all((0..count).map(|i| Frame::text(format!("!quiet {i:>1000}"))))
}

#[test]
fn reading_ahead_is_bounded_and_loses_nothing() {
    within(async || {
        const COUNT: usize = 3_000;
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * 1024)).await;
        let mut client = RawClient::connect_narrow(server.addr).await;
        client.handshake(&[]).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let bytes = numbered(COUNT);
        let sent = client.writer.send_until_stalled(&bytes).await;
        // Most of it are the kernel's buffers.
        assert!(sent < bytes.len() / 2, "took {sent} of {}", bytes.len());
        println!("{sent} of {} bytes were taken", bytes.len());
        server.release();
        client.expect_text("!hold").await;
        client.send_raw(&bytes[sent..]).await;
        for i in 0..COUNT {
            server
                .expect(Event::Text(format!("!quiet {i:>1000}")))
                .await;
        }
        client.close().await;
    });
}

#[test]
fn one_message_larger_than_the_read_ahead_still_comes() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(1024)).await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let large = "x".repeat(900_000);
        let (mut reader, mut writer) = (client.reader, client.writer);
        let bytes = encode_all([Frame::text(&large), Frame::text("small")]);
        let writing = tokio::spawn(async move {
            writer.send_raw(bytes).await;
            writer
        });
        sleep(Duration::from_millis(100)).await;
        server.release();
        assert_eq!(reader.read_frame().await.text(), "!hold");
        assert!(reader.read_frame().await.text() == large);
        assert_eq!(reader.read_frame().await.text(), "small");
        writing.await.unwrap();
    });
}
