//! Frames and messages on an open connection (RFC 6455 §5, §6, §8.1).
//! Does not treat the closing handshake: that is `closing`.

mod limits;
mod text;
mod violations;

use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::raw::{BINARY, CONTINUATION, Frame, PONG, RawClient, Received, TEXT};
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
