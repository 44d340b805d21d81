//! A second reader of frames, for the tests of the first: byte by byte, slow,
//! and as close to the words of RFC 6455 as code can be. Not in any build of
//! the library.

use super::{Chunk, Item, Reader};

/// What a stream of bytes comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    items: Vec<Seen>,
    /// The close code of the violation that ended it.
    violation: Option<u16>,
}

#[derive(Debug, PartialEq)]
enum Seen {
    Message { text: bool, payload: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

/// The outcome by the model.
pub(crate) fn expected(bytes: &[u8], masked: bool, limit: usize) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(code) = walk(bytes, masked, limit, &mut outcome.items) {
        outcome.violation = Some(code);
    }
    outcome
}

/// The outcome by the reader, with the bytes cut as `cuts` says, over and over.
pub(crate) fn seen(bytes: &[u8], masked: bool, limit: usize, cuts: &[u8]) -> Outcome {
    let (mut reader, mut outcome) = (Reader::new(masked), Outcome::default());
    let (mut rest, mut cuts) = (bytes, cuts.iter().cycle());
    let mut chunk = Chunk::default();
    while !rest.is_empty() {
        let cut = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1);
        let (now, later) = rest.split_at(cut.min(rest.len()));
        rest = later;
        if let Err(error) = feed(&mut reader, &mut chunk, now, limit, &mut outcome.items) {
            outcome.violation = error.close_code();
            break;
        }
    }
    outcome
}

/// Gives the reader some bytes, by whichever way it asks for them.
fn feed(
    reader: &mut Reader,
    chunk: &mut Chunk,
    mut bytes: &[u8],
    limit: usize,
    items: &mut Vec<Seen>,
) -> crate::error::Result<()> {
    if let Some((buffer, room)) = reader.direct() {
        let (direct, rest) = bytes.split_at(room.min(bytes.len()));
        buffer.extend_from_slice(direct);
        bytes = rest;
        reader.direct_filled(direct.len())?;
    }
    chunk.buffer().extend_from_slice(bytes);
    loop {
        let seen = match reader.next(chunk, limit)? {
            Item::More => break,
            Item::Small { text, payload } => Seen::Message {
                text,
                payload: payload.of(chunk).to_vec(),
            },
            Item::Large { text, payload } => Seen::Message {
                text,
                payload: payload.to_vec(),
            },
            Item::Ping(payload) => Seen::Ping(payload.of(chunk).to_vec()),
            Item::Pong(payload) => Seen::Pong(payload.of(chunk).to_vec()),
            Item::Close(payload) => Seen::Close(payload.of(chunk).to_vec()),
        };
        items.push(seen);
    }
    // Of a frame that has only begun, no more than a control frame is left over.
    assert!(
        chunk.len() < 14 + 125,
        "{} bytes are left over",
        chunk.len()
    );
    Ok(())
}

/// A message begun by a fragment.
struct Begun {
    text: bool,
    payload: Vec<u8>,
    empty: usize,
}

fn walk(mut bytes: &[u8], masked: bool, limit: usize, items: &mut Vec<Seen>) -> Result<(), u16> {
    let mut begun: Option<Begun> = None;
    loop {
        let [first, second, ..] = *bytes else {
            return Ok(());
        };
        let (fin, reserved, opcode) = (first >> 7 == 1, first >> 4 & 7, first & 15);
        let control = opcode >= 8;
        if reserved != 0
            || !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10)
            || (second >> 7 == 1) != masked
            || (control && (!fin || second & 127 > 125))
        {
            return Err(1002);
        }
        let width = match second & 127 {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if bytes.len() < 2 + width {
            return Ok(());
        }
        let wide = bytes[2..2 + width]
            .iter()
            .fold(0, |n, byte| n << 8 | u64::from(*byte));
        let length = if width == 0 {
            u64::from(second & 127)
        } else {
            wide
        };
        if (width == 2 && length < 126) || (width == 8 && !(65536..1 << 63).contains(&length)) {
            return Err(1002);
        }
        let head = 2 + width + if masked { 4 } else { 0 };
        if bytes.len() < head {
            return Ok(());
        }
        let mask = [&bytes[2 + width..head], &[0; 4]].concat();
        bytes = &bytes[head..];
        let whole = bytes.len() as u64 >= length;
        let here = if whole { length as usize } else { bytes.len() };
        let unmasked = bytes[..here]
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ mask[i % 4]);
        if control {
            if !whole {
                return Ok(());
            }
            let payload: Vec<u8> = unmasked.collect();
            items.push(match opcode {
                8 => Seen::Close(payload),
                9 => Seen::Ping(payload),
                _ => Seen::Pong(payload),
            });
            bytes = &bytes[here..];
            continue;
        }
        if (opcode == 0) != begun.is_some() {
            return Err(1002);
        }
        let fragmented = !fin || begun.is_some();
        let mut message = begun.take().unwrap_or(Begun {
            text: opcode == 1,
            payload: Vec::new(),
            empty: 0,
        });
        if length > (limit - message.payload.len()) as u64 {
            return Err(1009);
        }
        message.empty += usize::from(length == 0 && fragmented);
        if message.empty > 1024 {
            return Err(1009);
        }
        for byte in unmasked {
            message.payload.push(byte);
            if message.text && bad_so_far(&message.payload) {
                return Err(1007);
            }
        }
        if !whole {
            return Ok(());
        }
        bytes = &bytes[here..];
        if !fin {
            begun = Some(message);
            continue;
        }
        let Begun { text, payload, .. } = message;
        if text && std::str::from_utf8(&payload).is_err() {
            return Err(1007);
        }
        items.push(Seen::Message { text, payload });
    }
}

/// Can no further byte make this UTF-8? Looks at the end alone: what came before
/// was asked about byte by byte.
fn bad_so_far(payload: &[u8]) -> bool {
    let mut from = payload.len().saturating_sub(8);
    while from > 0 && from < payload.len() && payload[from] & 0xc0 == 0x80 {
        from -= 1;
    }
    matches!(std::str::from_utf8(&payload[from..]), Err(error) if error.error_len().is_some())
}
