//! Frames that break the protocol: 1002.
//! Does not treat Close frames: `closing` does.

use super::{fails_on, fails_with};
use crate::raw::{CLOSE, Frame, PING, PONG, RawClient, encode_all};
use crate::server::{Event, Recorded, within};

#[test]
fn an_unmasked_frame_is_1002() {
    within(async || {
        fails_with(1002, Frame::text("plain").unmasked().encode()).await;
        fails_with(1002, Frame::ping("").unmasked().encode()).await;
        fails_with(1002, Frame::close(1000, "").unmasked().encode()).await;
        fails_with(1002, Frame::text("").unmasked().encode()).await;
    });
}

#[test]
fn a_reserved_bit_is_1002() {
    within(async || {
        for bits in 1..8 {
            fails_with(1002, Frame::text("x").rsv(bits).encode()).await;
        }
        fails_with(1002, Frame::ping("x").rsv(4).encode()).await;
    });
}

#[test]
fn a_reserved_bit_in_a_continuation_is_1002() {
    within(async || {
        let frames = [
            Frame::text("x").unfinished(),
            Frame::continuation("y").rsv(4),
        ];
        fails_with(1002, encode_all(frames)).await;
    });
}

#[test]
fn an_unknown_opcode_is_1002() {
    within(async || {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            fails_with(1002, Frame::new(opcode, "x").encode()).await;
        }
    });
}

#[test]
fn a_stray_continuation_is_1002() {
    within(async || {
        fails_with(1002, Frame::continuation("x").encode()).await;
        fails_with(1002, Frame::continuation("x").unfinished().encode()).await;
    });
}

#[test]
fn a_continuation_after_the_last_fragment_is_1002() {
    within(async || {
        let frames = [
            Frame::text("!quiet a").unfinished(),
            Frame::continuation("b"),
            Frame::continuation("c"),
        ];
        let server = Recorded::start().await;
        fails_on(
            server,
            1002,
            encode_all(frames),
            &[Event::text("!quiet ab")],
        )
        .await;
    });
}

#[test]
fn a_new_message_inside_a_message_is_1002() {
    within(async || {
        for inner in [Frame::text("y"), Frame::binary("y").unfinished()] {
            let frames = [Frame::text("x").unfinished(), inner];
            fails_with(1002, encode_all(frames)).await;
        }
    });
}

#[test]
fn a_fragmented_control_frame_is_1002() {
    within(async || {
        for opcode in [PING, PONG, CLOSE] {
            fails_with(1002, Frame::new(opcode, "").unfinished().encode()).await;
        }
    });
}

#[test]
fn a_control_frame_over_125_bytes_is_1002_from_its_header_alone() {
    within(async || {
        for opcode in [PING, PONG] {
            fails_with(1002, Frame::new(opcode, [b'x'; 126]).encode()).await;
            let announced = Frame::new(opcode, "").announcing(126);
            fails_with(1002, announced.encode()).await;
            let announced = Frame::new(opcode, "").announcing(100_000);
            fails_with(1002, announced.encode()).await;
        }
    });
}

#[test]
fn a_length_not_in_its_shortest_form_is_1002() {
    within(async || {
        let payload = |n| vec![b'x'; n];
        for n in [0, 1, 125] {
            let frame = Frame::text(payload(n));
            fails_with(1002, frame.clone().length_in_16_bits().encode()).await;
            fails_with(1002, frame.length_in_64_bits().encode()).await;
        }
        for n in [126, 65_535] {
            let frame = Frame::text(payload(n)).length_in_64_bits();
            fails_with(1002, frame.encode()).await;
        }
        fails_with(1002, Frame::ping("x").length_in_16_bits().encode()).await;
    });
}

#[test]
fn a_length_with_the_top_bit_is_1002() {
    within(async || {
        for length in [1 << 63, u64::MAX] {
            fails_with(1002, Frame::text("").announcing(length).encode()).await;
        }
    });
}

#[test]
fn frames_before_a_bad_one_in_the_same_packet_are_delivered_and_answered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [
            Frame::text("one"),
            Frame::text("two"),
            Frame::text("bad").rsv(2),
            Frame::text("after"),
        ];
        client.send_all(frames).await;
        client.expect_text("one").await;
        client.expect_text("two").await;
        client.expect_close(1002).await;
        client.expect_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("one")).await;
        server.expect(Event::text("two")).await;
        server.expect_error().await;
        server.expect_unclean(1002).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn what_follows_a_violation_is_not_read() {
    within(async || {
        let frames = [
            Frame::text("bad").rsv(4),
            Frame::text("after"),
            Frame::ping("after"),
        ];
        fails_with(1002, encode_all(frames)).await;
    });
}

#[test]
fn a_violation_ends_the_connection_though_the_peer_goes_on() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("bad").rsv(4)).await;
        client.expect_close(1002).await;
        let chatter = Frame::text("chatter").encode();
        // The server takes nothing from us for ever: a write fails at last.
        for _ in 0..200 {
            if !client.writer.try_send(&chatter).await {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the connection is still open");
    });
}

#[test]
fn the_reason_of_a_violation_fits_a_control_frame() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::new(3, "x")).await;
        // The client checks the frame; the reason should help its reader.
        let reason = client.expect_close(1002).await;
        assert!(reason.len() <= 123, "{reason:?}");
    });
}
