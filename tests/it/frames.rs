//! Frames and messages on an open connection (RFC 6455 §5, §6, §8.1).
//! Does not treat the closing handshake: that is `closing`.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::raw::{
    BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, RawClient, Received, TEXT, encode_all,
};
use crate::server::{Event, Recorded, within};

/// Sends these bytes, and wants the connection failed with this code: a Close
/// that has it, the end, `on_error` and then `on_close` with the same code.
async fn fails_with(code: u16, bytes: impl AsRef<[u8]>) {
    let server = Recorded::start().await;
    fails_on(server, code, bytes, &[]).await;
}

/// The same on this server, after these events.
async fn fails_on(mut server: Recorded, code: u16, bytes: impl AsRef<[u8]>, before: &[Event]) {
    let bytes = bytes.as_ref();
    let shown = &bytes[..bytes.len().min(16)];
    println!("sending {} bytes: {shown:x?}", bytes.len());
    let mut client = RawClient::open(server.addr).await;
    client.send_raw(bytes).await;
    client.expect_close(code).await;
    client.hang_up().await;
    server.expect(Event::Open).await;
    for event in before {
        server.expect(event.clone()).await;
    }
    server.expect_error().await;
    server.expect_unclean(code).await;
    assert_eq!(server.finish().await, []);
}

/// Sends these frames, and wants them back as this one message.
async fn echoes(client: &mut RawClient, frames: impl IntoIterator<Item = Frame>, text: &str) {
    client.send_all(frames).await;
    client.expect_text(text).await;
}

// Messages that pass

#[test]
fn messages_of_every_length_form_are_echoed() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        for length in [0, 1, 125, 126, 127, 4095, 4096, 65_535, 65_536, 300_000] {
            let text = "t".repeat(length);
            echoes(&mut client, [Frame::text(&text)], &text).await;
            let bytes: Vec<u8> = (0..length).map(|i| (i * 31) as u8).collect();
            client.send(Frame::binary(&bytes)).await;
            client.expect_binary(&bytes).await;
        }
    });
}

#[test]
fn a_mask_of_zero_is_a_mask() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        echoes(&mut client, [Frame::text("plain").mask([0; 4])], "plain").await;
    });
}

#[test]
fn many_frames_in_one_packet_are_all_answered_in_order() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = (0..500).map(|i| Frame::text(format!("message {i}")));
        client.send_all(frames).await;
        for i in 0..500 {
            client.expect_text(&format!("message {i}")).await;
        }
    });
}

#[test]
fn a_frame_may_come_byte_by_byte() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let text = "κόσμε".repeat(30);
        for byte in Frame::text(&text).encode() {
            client.send_raw([byte]).await;
            tokio::task::yield_now().await;
        }
        client.expect_text(&text).await;
    });
}

#[test]
fn fragments_are_one_message() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let fragments = [
            Frame::text("one ").unfinished(),
            Frame::continuation("two ").unfinished(),
            Frame::continuation("").unfinished(),
            Frame::continuation("three"),
        ];
        echoes(&mut client, fragments, "one two three").await;
        let fragments = [
            Frame::binary(b"\xff").unfinished(),
            Frame::continuation(b"\xfe"),
        ];
        client.send_all(fragments).await;
        client.expect_binary(b"\xff\xfe").await;
    });
}

#[test]
fn a_message_of_empty_fragments_is_an_empty_message() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let fragments = [Frame::text("").unfinished(), Frame::continuation("")];
        echoes(&mut client, fragments, "").await;
    });
}

#[test]
fn a_ping_between_fragments_is_answered_before_the_message_ends() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("be").unfinished()).await;
        client.send(Frame::ping("now?")).await;
        client.expect_pong(b"now?").await;
        client.send(Frame::continuation("tween")).await;
        client.expect_text("between").await;
    });
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        for payload in [&b""[..], b"p", b"\x00\xff", &[b'x'; 125]] {
            client.send(Frame::ping(payload)).await;
            client.expect_pong(payload).await;
        }
        // Pings are no messages.
        server.expect(Event::Open).await;
        server.expect_quiet().await;
    });
}

#[test]
fn a_pong_that_nobody_asked_for_is_ignored() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::pong("unasked")).await;
        client.send(Frame::pong("")).await;
        echoes(&mut client, [Frame::text("next")], "next").await;
        server.expect(Event::Open).await;
        server.expect(Event::text("next")).await;
    });
}

#[test]
fn binary_messages_need_not_be_utf_8() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::binary(b"\xff\xfe\x00")).await;
        client.expect_binary(b"\xff\xfe\x00").await;
        server.expect(Event::Open).await;
        server.expect(Event::Binary(b"\xff\xfe\x00".to_vec())).await;
    });
}

// Frames that break the protocol

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

// UTF-8

#[test]
fn text_that_is_not_utf_8_is_1007() {
    within(async || {
        for bytes in [
            &b"\xff"[..],
            b"abc\x80",
            b"\xc0\xaf",                 // overlong
            b"\xe0\x80\xaf",             // overlong
            b"\xed\xa0\x80",             // a surrogate
            b"\xf4\x90\x80\x80",         // over U+10FFFF
            b"\xf8\x88\x80\x80\x80",     // five bytes
            b"\xce\xba\xe1\xbd\xb9\xcf", // cut
        ] {
            fails_with(1007, Frame::text(bytes).encode()).await;
        }
        let mut long = vec![b'a'; 70_000];
        long[69_990] = 0xff;
        fails_with(1007, Frame::text(long).encode()).await;
    });
}

#[test]
fn a_bad_byte_is_1007_before_the_frame_is_whole() {
    within(async || {
        for start in [
            &b"ab\xff"[..],
            b"\xc0",
            b"\xc1",
            b"\xf5",
            b"\xe0\x80",
            b"\xed\xa0",
            b"\xf0\x8f",
            b"\xf4\x90",
            b"\xce\xba\xe1\xbd\xb9\xce\x41",
        ] {
            for length in [60, 1000, 100_000] {
                fails_with(1007, Frame::text(start).announcing(length).encode()).await;
            }
        }
    });
}

#[test]
fn a_bad_byte_is_1007_before_the_message_is_whole() {
    within(async || {
        let frames = [
            Frame::text("fine").unfinished(),
            Frame::continuation(b"\xf4\x90").unfinished(),
        ];
        fails_with(1007, encode_all(frames)).await;
        // The first half of the character came with the fragment before.
        let frames = [
            Frame::text(b"\xf4").unfinished(),
            Frame::continuation(b"\x90").unfinished(),
        ];
        fails_with(1007, encode_all(frames)).await;
    });
}

#[test]
fn a_bad_byte_is_1007_when_it_comes_a_segment_later() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client
            .send(Frame::text(b"\xce\xba\xf4").announcing(50))
            .await;
        client.expect_quiet().await;
        // The fourth byte of the payload: the mask goes on where it was.
        client.send_raw([0x90 ^ 0x3d]).await;
        client.expect_close(1007).await;
        server.expect(Event::Open).await;
        server.expect_error().await;
        server.expect_unclean(1007).await;
    });
}

#[test]
fn text_cut_inside_a_character_is_1007_at_its_end_only() {
    within(async || {
        let frames = [
            Frame::text(b"A\xe2").unfinished(),
            Frame::continuation(b"\x82"),
        ];
        fails_with(1007, encode_all(frames)).await;
        let frames = [
            Frame::text(b"A\xe2\x82").unfinished(),
            Frame::continuation(b""),
        ];
        fails_with(1007, encode_all(frames)).await;
    });
}

#[test]
fn a_character_may_span_fragments_pings_and_segments() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let frames = [
            Frame::text(b"\xf0").unfinished(),
            Frame::continuation(b"").unfinished(),
            Frame::continuation(b"\x9f").unfinished(),
            Frame::ping("between"),
            Frame::continuation(b"\x98").unfinished(),
            Frame::continuation(b"\x80"),
        ];
        for byte in encode_all(frames) {
            client.send_raw([byte]).await;
            tokio::task::yield_now().await;
        }
        client.expect_pong(b"between").await;
        client.expect_text("\u{1F600}").await;
    });
}

// Limits

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

// Any cut

#[test]
fn messages_survive_any_fragments_and_segments() {
    within(async || {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = seed.subsec_nanos().into();
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        for _ in 0..40 {
            let messages: Vec<_> = (0..5).map(|_| any_message(&mut rng)).collect();
            let mut bytes = Vec::new();
            for (opcode, payload) in &messages {
                bytes.extend(any_fragments(&mut rng, *opcode, payload));
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let cut = rng.random_range(1..=rest.len().min(20_000));
                client.send_raw(&rest[..cut]).await;
                tokio::task::yield_now().await;
                rest = &rest[cut..];
            }
            for (opcode, payload) in &messages {
                let frame = next_message(&mut client).await;
                assert_eq!(frame.opcode, *opcode);
                assert!(frame.payload == *payload, "another payload came back");
            }
        }
    });
}

fn any_message(rng: &mut StdRng) -> (u8, Vec<u8>) {
    let most = [10, 130, 5_000, 70_000][rng.random_range(0..4)];
    let length = rng.random_range(0..most);
    if rng.random() {
        (BINARY, (0..length).map(|_| rng.random()).collect())
    } else {
        let alphabet = ['a', 'é', '€', '\u{1F600}'];
        let text = (0..length / 4).map(|_| alphabet[rng.random_range(0..4)]);
        (TEXT, text.collect::<String>().into_bytes())
    }
}

fn any_fragments(rng: &mut StdRng, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let (mut out, mut rest, mut opcode) = (Vec::new(), payload, opcode);
    loop {
        if rng.random_ratio(1, 4) {
            out.extend(Frame::ping("p").mask(rng.random()).encode());
        }
        if rng.random_ratio(1, 3) {
            let last = Frame::new(opcode, rest).mask(rng.random());
            out.extend(last.encode());
            return out;
        }
        let cut = rng.random_range(0..=rest.len());
        let frame = Frame::new(opcode, &rest[..cut]).unfinished();
        out.extend(frame.mask(rng.random()).encode());
        (rest, opcode) = (&rest[cut..], CONTINUATION);
    }
}

async fn next_message(client: &mut RawClient) -> Received {
    loop {
        let frame = client.read_frame().await;
        if frame.opcode != PONG {
            return frame;
        }
    }
}
