//! Heads that take too long or too much room.
//! Does not treat many of them at once: `slow` does.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use wsworker::prelude::*;

use super::answer;
use crate::raw::{Frame, Head, RawClient};
use crate::server::{Recorded, within};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_slow_head_is_408() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = RawClient::connect(server.addr).await;
        let begun = Instant::now();
        client.send_raw("GET / HTTP/1.1\r\nHost: x\r\n").await;
        assert_eq!(client.read_response().await.status, 408);
        client.expect_eof().await;
        assert!(begun.elapsed() >= SHORT * 8 / 10, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_head_that_drips_is_408() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        let client = RawClient::connect(server.addr).await;
        let head = client.upgrade().with("X", &"y".repeat(500)).encode();
        let (mut reader, mut writer) = (client.reader, client.writer);
        let begun = Instant::now();
        let dripping = tokio::spawn(async move {
            for byte in head {
                if !writer.try_send([byte]).await {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert_eq!(reader.read_response().await.status, 408);
        reader.expect_eof().await;
        assert!(begun.elapsed() < SHORT * 3, "{:?}", begun.elapsed());
        dripping.abort();
    });
}

#[test]
fn no_408_follows_a_response() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        for second in ["", "GET / HTTP/1.1\r\nHo"] {
            let mut client = RawClient::connect(server.addr).await;
            let head = Head::get("/page", client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, 200);
            client.send_raw(second).await;
            client.expect_eof().await;
        }
    });
}

#[test]
fn the_handshakes_deadline_ends_with_the_handshake() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = RawClient::open(server.addr).await;
        client.reader.expect_quiet(SHORT * 2).await;
        client.send(Frame::text("still here")).await;
        client.expect_text("still here").await;
    });
}

async fn with_large_head(bytes: usize, configure: impl FnOnce(Server) -> Server) -> Vec<u8> {
    let server = Recorded::start_with(configure).await;
    let mut client = RawClient::connect(server.addr).await;
    let head = client.upgrade().with("X-Padding", &"p".repeat(bytes));
    client.writer.try_send(head.encode()).await;
    let end = b"\r\n\r\n";
    let mut answer = Vec::new();
    while !answer.windows(4).any(|w| w == end) {
        match client.reader.read_one_byte_or_end().await {
            Some(byte) => answer.push(byte),
            None => break,
        }
    }
    answer
}

fn status_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_head_over_the_default_limit_is_431() {
    within(async || {
        // The default is 16 KiB.
        assert_eq!(status_of(&with_large_head(12_000, |s| s).await), "101");
        assert_eq!(status_of(&with_large_head(20_000, |s| s).await), "431");
    });
}

#[test]
fn a_head_over_a_limit_of_ones_own_is_431() {
    within(async || {
        let limit = |s: Server| s.max_header_size(32 * 1024);
        assert_eq!(status_of(&with_large_head(25_000, limit).await), "101");
        assert_eq!(status_of(&with_large_head(40_000, limit).await), "431");
        let limit = |s: Server| s.max_header_size(1024);
        assert_eq!(status_of(&with_large_head(500, limit).await), "101");
        assert_eq!(status_of(&with_large_head(1200, limit).await), "431");
    });
}

#[test]
fn a_head_that_never_ends_is_431() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        client.send_raw("GET / HTTP/1.1\r\nX: ").await;
        for _ in 0..64 {
            if !client.writer.try_send([b'a'; 1024]).await {
                break;
            }
        }
        let answer = client.reader.read_to_end().await;
        // The reply may be lost to the RST that our later bytes earn.
        assert!(
            answer.is_empty() || status_of(&answer) == "431",
            "{answer:?}"
        );
    });
}

#[test]
fn too_many_headers_are_431() {
    within(async || {
        let answer = answer(|mut head| {
            for i in 0..300 {
                head = head.with(&format!("x-{i}"), "1");
            }
            head
        })
        .await;
        assert_eq!(answer.status, 431);
    });
}
