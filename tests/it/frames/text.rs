//! Text that is not UTF-8: 1007, as soon as it can be known (RFC 6455 §8.1).
//! Does not treat the reason of a Close: `closing` does.

use super::fails_with;
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Event, Recorded, within};

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
