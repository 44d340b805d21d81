//! Messages that are too long or in too many parts: 1009.
//! Does not treat frames that take too long: `slow` does.

use super::{echoes, fails_on, fails_with};
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Recorded, within};

#[test]
fn a_message_of_exactly_the_limit_passes() {
    within(async || {
        let server = Recorded::start_with(|s| s.max_message(1000)).await;
        let mut client = RawClient::open(server.addr).await;
        let text = "x".repeat(1000);
        echoes(&mut client, [Frame::text(&text)], &text).await;
        let fragments = [
            Frame::text(&text[..600]).unfinished(),
            Frame::continuation(&text[600..]).unfinished(),
            Frame::continuation(""),
        ];
        echoes(&mut client, fragments, &text).await;
    });
}

#[test]
fn the_default_limit_is_1_mib() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let bytes = vec![7; 1 << 20];
        client.send(Frame::binary(&bytes)).await;
        client.expect_binary(&bytes).await;
        client
            .send(Frame::binary("").announcing((1 << 20) + 1))
            .await;
        client.expect_close(1009).await;
    });
}

#[test]
fn a_message_over_the_limit_is_1009_from_its_header_alone() {
    within(async || {
        for length in [1001, 65_535, 65_536, u64::MAX >> 1] {
            let server = Recorded::start_with(|s| s.max_message(1000)).await;
            let header = Frame::text("").announcing(length).encode();
            fails_on(server, 1009, header, &[]).await;
        }
    });
}

#[test]
fn fragments_over_the_limit_are_1009_on_their_total() {
    within(async || {
        let server = Recorded::start_with(|s| s.max_message(1000)).await;
        let frames = [
            Frame::text("x".repeat(600)).unfinished(),
            // Its header is enough.
            Frame::continuation("").announcing(401).unfinished(),
        ];
        fails_on(server, 1009, encode_all(frames), &[]).await;
    });
}

#[test]
fn many_small_fragments_are_1009_on_their_total() {
    within(async || {
        let server = Recorded::start_with(|s| s.max_message(1000)).await;
        let rest = (0..1000).map(|_| Frame::continuation("x").unfinished());
        let frames = [Frame::text("x").unfinished()].into_iter().chain(rest);
        fails_on(server, 1009, encode_all(frames), &[]).await;
    });
}

#[test]
fn the_limit_is_for_each_message() {
    within(async || {
        let server = Recorded::start_with(|s| s.max_message(1000)).await;
        let mut client = RawClient::open(server.addr).await;
        let text = "x".repeat(900);
        for _ in 0..5 {
            echoes(&mut client, [Frame::text(&text)], &text).await;
        }
    });
}

#[test]
fn empty_fragments_without_end_are_1009() {
    within(async || {
        let rest = (0..1024).map(|_| Frame::continuation("").unfinished());
        let frames = [Frame::text("").unfinished()].into_iter().chain(rest);
        fails_with(1009, encode_all(frames)).await;
    });
}

#[test]
fn a_thousand_empty_fragments_are_no_crime() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        // They are counted for each message.
        for _ in 0..3 {
            let rest = (0..1000).map(|_| Frame::continuation("").unfinished());
            let frames = [Frame::text("").unfinished()].into_iter().chain(rest);
            let frames = frames.chain([Frame::continuation("end")]);
            echoes(&mut client, frames, "end").await;
        }
    });
}

#[test]
fn many_fragments_with_bytes_are_bounded_by_their_bytes_alone() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let rest = (0..20_000).map(|_| Frame::continuation("x").unfinished());
        let frames = [Frame::text("x").unfinished()].into_iter().chain(rest);
        let frames = frames.chain([Frame::continuation("")]);
        echoes(&mut client, frames, &"x".repeat(20_001)).await;
    });
}
