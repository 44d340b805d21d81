//! The peer closes, rightly or wrongly.
//! Does not treat peers that go without a Close: `gone` does.

use crate::raw::{CLOSE, Frame, RawClient};
use crate::server::{Event, Recorded, within};

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
