//! The reader against a model of it, and the memory that it holds.

use crate::protocol::message::Message;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::wire::model::{expected, seen};

/// Appends a frame, mostly a good one.
fn frame(rng: &mut SmallRng, masked: bool, out: &mut Vec<u8>) {
    let opcode = *[0, 0, 1, 1, 2, 8, 9, 10, 3].choose(rng).expect("not empty");
    let fin = if rng.random_ratio(2, 3) { 0x80 } else { 0 };
    let reserved = if rng.random_ratio(1, 100) { 0x40 } else { 0 };
    let length = match rng.random_range(0..10) {
        0 => 0,
        1..6 => rng.random_range(0..126),
        6..9 => rng.random_range(126..3000),
        _ => rng.random_range(3000..70_000),
    };
    out.push(fin | reserved | opcode);
    let wrong = rng.random_ratio(1, 100);
    let mask_bit = if masked != wrong { 0x80 } else { 0 };
    match length {
        0..126 if !rng.random_ratio(1, 50) => out.push(mask_bit | length as u8),
        0..65536 => {
            out.push(mask_bit | 126);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    let mask: [u8; 4] = rng.random();
    if masked {
        out.extend(mask);
    }
    let text = "aé€😀".as_bytes();
    let start = rng.random_range(0..text.len());
    let whole = rng.random_ratio(3, 4);
    let cycle = text.iter().cycle().skip(if whole { 0 } else { start });
    let payload: Vec<u8> = cycle.take(length).copied().collect();
    let masked_payload = payload.iter().enumerate();
    out.extend(masked_payload.map(|(i, byte)| if masked { byte ^ mask[i % 4] } else { *byte }));
}

#[test]
fn chunking_never_changes_the_outcome_and_the_outcome_is_the_models() {
    let seed = rand::random::<u64>();
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..2000 {
        let masked = rng.random_ratio(3, 4);
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(1..8) {
            frame(&mut rng, masked, &mut bytes);
        }
        bytes.truncate(bytes.len() - rng.random_range(0..bytes.len().min(10)));
        let limit = *[10_000, 100_000].choose(&mut rng).expect("not empty");
        let wanted = expected(&bytes, masked, limit);
        for cuts in [&[][..], &[0], &[255], &rng.random::<[u8; 7]>()] {
            let outcome = seen(&bytes, masked, limit, cuts);
            assert_eq!(outcome, wanted, "seed {seed}, cuts {cuts:?}");
        }
    }
}

#[test]
fn an_idle_reader_is_16_bytes_and_holds_no_buffer() {
    assert_eq!(size_of::<Reader>(), 16);
    let mut reader = Reader::new(false);
    let mut chunk = Chunk::from(&b"\x82\x03abc"[..]);
    let item = reader.next(&mut chunk, 100).expect("allowed");
    let Item::Small { text, payload } = item else {
        panic!("{item:?}");
    };
    assert_eq!((text, payload.of(&chunk)), (false, &b"abc"[..]));
    assert!(reader.building.is_none() && chunk.is_empty());
}

#[test]
fn an_announced_frame_costs_no_more_than_what_came_of_it() {
    let mut reader = Reader::new(false);
    let mut chunk = Chunk::from(&b"\x82\x7f\0\0\0\0\0\x10\0\0x"[..]);
    let item = reader.next(&mut chunk, 1 << 20).expect("allowed");
    assert_eq!(item, Item::More);
    let (buffer, room) = reader.direct().expect("a large frame is under way");
    assert!(buffer.capacity() <= 2 * DIRECT, "{}", buffer.capacity());
    assert!(room <= 2 * DIRECT, "{room}");
}

#[test]
fn a_kept_message_pins_at_most_16_times_its_size() {
    for size in [1, 61, 62, 4095, 4096, 30_000, 65_000] {
        let mut bytes = vec![0x82, 0x7f];
        bytes.extend((size as u64).to_be_bytes());
        if size < 65536 {
            bytes = vec![0x82, 126];
            bytes.extend((size as u16).to_be_bytes());
        }
        if size < 126 {
            bytes = vec![0x82, size as u8];
        }
        bytes.resize(bytes.len() + size, 7);
        let mut chunk = Chunk::default();
        chunk.renew();
        let buffer = chunk.buffer();
        buffer.extend_from_slice(&bytes);
        let before = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.capacity();
        let item = Reader::new(false)
            .next(&mut chunk, 1 << 20)
            .expect("allowed");
        let message = match item {
            Item::Small { text, payload } => Message::copied(text, payload.of(&chunk)),
            Item::Large { text, payload } => Message::new(text, payload),
            other => panic!("{size} bytes are no message but {other:?}"),
        };
        let inside = before.contains(&(message.as_bytes().as_ptr() as usize));
        assert!(
            !inside || before.len() <= 16 * size,
            "{size} bytes pin {before:?}"
        );
    }
}
