//! The strict reader: takes bytes as they come, gives whole messages and
//! control frames, or the violation with the close code that it deserves.
//! Does no I/O, answers nothing, and holds a buffer only inside a message.
//!
//! Frames are unmasked and checked where they lie. What came of an unfinished
//! data frame moves to the message's own buffer at once, so how the bytes were
//! cut into reads never changes the outcome, and bad UTF-8 is found at the read
//! that brings it.

use bytes::{Bytes, BytesMut};
use fastwebsockets::OpCode;

use super::chunk::{CHUNK, Chunk, Part};
use super::head::{Head, is_control};
use super::mask;
use crate::error::{Error, Result};

/// What the peer sent, whole and checked. What is small still lies in the chunk,
/// until that is read into again: it is copied where it is needed, as moving a
/// message there costs as much as copying its bytes.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    /// Nothing whole: more must come.
    More,
    Small {
        text: bool,
        payload: Part,
    },
    Large {
        text: bool,
        payload: Bytes,
    },
    /// To be answered with the same payload.
    Ping(Part),
    Pong(Part),
    /// Not judged yet.
    Close(Part),
}

/// Reads the frames of one connection. 16 bytes while no message is under way.
pub(crate) struct Reader {
    /// Whether the peer must mask (RFC 6455 §5.1).
    masked: bool,
    /// Counts headers, so that a deadline can tell one slow frame from many.
    heads: u8,
    building: Option<Box<Building>>,
}

/// A message of which a part has come.
struct Building {
    text: bool,
    bytes: BytesMut,
    /// Up to where `bytes` is known to be UTF-8; the rest is a character begun.
    valid: usize,
    /// Empty fragments seen: bytes do not bound them, so their number does.
    empty: u16,
    frame: Option<Unfinished>,
}

/// The data frame whose payload is under way.
struct Unfinished {
    fin: bool,
    /// The mask, turned so that it starts at the next byte.
    mask: Option<[u8; 4]>,
    left: usize,
}

impl Reader {
    pub(crate) fn new(masked: bool) -> Self {
        Self {
            masked,
            heads: 0,
            building: None,
        }
    }

    /// The next item in `chunk`, whose bytes it takes as far as they are used. If
    /// more must come, at most a header or a control frame is left in `chunk`.
    /// After an error the connection is over.
    #[inline]
    pub(crate) fn next(&mut self, chunk: &mut Chunk, limit: usize) -> Result<Item> {
        loop {
            if self.building.is_some() && self.in_frame() {
                match self.go_on(chunk)? {
                    Progress::Message { text, payload } => {
                        return Ok(Item::Large { text, payload });
                    }
                    Progress::FrameEnd => {}
                    Progress::Starved => return Ok(Item::More),
                }
            }
            let Some(head) = Head::parse(chunk.as_slice(), self.masked)? else {
                return Ok(Item::More);
            };
            if is_control(head.opcode) {
                return Ok(control(&head, chunk));
            }
            let len = self.admit(&head, limit)?;
            self.heads = self.heads.wrapping_add(1);
            let whole = chunk.len() - head.size >= len;
            if whole && head.fin && self.building.is_none() {
                return whole_message(&head, len, chunk);
            }
            chunk.skip(head.size);
            self.begin_frame(&head, len)?;
        }
    }

    /// The buffer that the rest of a large frame should be read into, and how
    /// many bytes at most: grown as they come, never over twice what has come.
    #[inline]
    pub(crate) fn direct(&mut self) -> Option<(&mut BytesMut, usize)> {
        let building = self.building.as_deref_mut()?;
        let left = building.frame.as_ref()?.left;
        if left < DIRECT {
            return None;
        }
        let bytes = &mut building.bytes;
        if bytes.len() == bytes.capacity() {
            bytes.reserve(left.min(bytes.len().max(DIRECT)));
        }
        let room = left.min(bytes.capacity() - bytes.len());
        Some((bytes, room))
    }

    /// Takes note of `n` bytes read into `direct`'s buffer.
    pub(crate) fn direct_filled(&mut self, n: usize) -> Result<()> {
        let building = self.building.as_deref_mut().expect("a frame is under way");
        let start = building.bytes.len() - n;
        building.take(start)
    }

    /// Is a frame's payload under way?
    pub(crate) fn in_frame(&self) -> bool {
        matches!(&self.building, Some(building) if building.frame.is_some())
    }

    /// Changes whenever a data frame begins.
    pub(crate) fn heads(&self) -> u8 {
        self.heads
    }

    /// Judges a data frame by its header alone: its place (RFC 6455 §5.4) and its size.
    #[inline]
    fn admit(&self, head: &Head, limit: usize) -> Result<usize> {
        let continues = head.opcode == OpCode::Continuation;
        if continues != self.building.is_some() {
            return Err(misplaced(continues));
        }
        let before = self.building.as_ref().map_or(0, |b| b.bytes.len());
        match usize::try_from(head.len) {
            Ok(len) if len <= limit - before.min(limit) => Ok(len),
            _ => Err(too_big(limit)),
        }
    }

    fn begin_frame(&mut self, head: &Head, len: usize) -> Result<()> {
        let building = self.building.get_or_insert_with(|| {
            Box::new(Building {
                text: head.opcode == OpCode::Text,
                bytes: BytesMut::new(),
                valid: 0,
                empty: 0,
                frame: None,
            })
        });
        if len == 0 {
            building.empty += 1;
            if building.empty > MAX_EMPTY_FRAGMENTS {
                return Err(too_many_empty());
            }
        }
        building.frame = Some(Unfinished {
            fin: head.fin,
            mask: head.mask,
            left: len,
        });
        Ok(())
    }

    /// Moves what has come of the frame under way to its message.
    fn go_on(&mut self, chunk: &mut Chunk) -> Result<Progress> {
        let building = self.building.as_deref_mut().expect("a frame is under way");
        let frame = building.frame.as_ref().expect("a frame is under way");
        let start = building.bytes.len();
        let n = frame.left.min(chunk.len());
        if start == 0 && n > 0 {
            // All that has come, and as much again where the rest is known.
            building.bytes.reserve(frame.left.min((2 * n).max(DIRECT)));
        }
        building.bytes.extend_from_slice(&chunk.as_slice()[..n]);
        chunk.skip(n);
        building.take(start)?;
        let frame = building.frame.as_ref().expect("a frame is under way");
        if frame.left > 0 {
            return Ok(Progress::Starved);
        }
        if !frame.fin {
            building.frame = None;
            return Ok(Progress::FrameEnd);
        }
        let done = *self.building.take().expect("a frame is under way");
        if done.text && done.valid < done.bytes.len() {
            return Err(not_utf8());
        }
        Ok(Progress::Message {
            text: done.text,
            payload: done.into_bytes(),
        })
    }
}

enum Progress {
    Message { text: bool, payload: Bytes },
    FrameEnd,
    Starved,
}

impl Building {
    /// Unmasks and checks the bytes from `start` on, which have just come.
    fn take(&mut self, start: usize) -> Result<()> {
        let frame = self.frame.as_mut().expect("a frame is under way");
        let fresh = &mut self.bytes[start..];
        frame.left -= fresh.len();
        if let Some(key) = &mut frame.mask {
            mask::apply(fresh, *key);
            key.rotate_left(fresh.len() % 4);
        }
        if self.text && !self.bytes.is_empty() {
            let unchecked = &self.bytes[self.valid..];
            match simdutf8::compat::from_utf8(unchecked) {
                Ok(_) => self.valid = self.bytes.len(),
                // A character that has only begun is no error yet.
                Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
                Err(_) => return Err(not_utf8()),
            }
        }
        Ok(())
    }

    /// The payload; the buffer that it pins is at most twice its size.
    fn into_bytes(self) -> Bytes {
        if self.bytes.capacity() / 4 > self.bytes.len() {
            return Bytes::copy_from_slice(&self.bytes);
        }
        self.bytes.freeze()
    }
}

/// A control frame, if it lies in `chunk` as a whole.
fn control(head: &Head, chunk: &mut Chunk) -> Item {
    let len = head.len as usize;
    if chunk.len() - head.size < len {
        return Item::More;
    }
    let payload = chunk.part(head.size, len);
    if let Some(key) = head.mask {
        mask::apply(payload, key);
    }
    let payload = chunk.use_up(head.size, len);
    match head.opcode {
        OpCode::Ping => Item::Ping(payload),
        OpCode::Pong => Item::Pong(payload),
        _ => Item::Close(payload),
    }
}

/// A message in one frame that lies in `chunk` as a whole.
#[inline]
fn whole_message(head: &Head, len: usize, chunk: &mut Chunk) -> Result<Item> {
    let text = head.opcode == OpCode::Text;
    if len < SPLIT {
        unmasked_and_checked(head, text, chunk.part(head.size, len))?;
        let payload = chunk.use_up(head.size, len);
        return Ok(Item::Small { text, payload });
    }
    chunk.skip(head.size);
    let mut payload = chunk.split(len);
    unmasked_and_checked(head, text, &mut payload)?;
    let payload = payload.freeze();
    Ok(Item::Large { text, payload })
}

#[inline]
fn unmasked_and_checked(head: &Head, text: bool, payload: &mut [u8]) -> Result<()> {
    if let Some(key) = head.mask {
        mask::apply(payload, key);
    }
    if text { check(payload) } else { Ok(()) }
}

/// Apart, so that a binary message does not pay for the registers it saves.
#[inline(never)]
fn check(payload: &[u8]) -> Result<()> {
    simdutf8::basic::from_utf8(payload).map_or_else(|_| Err(not_utf8()), |_| Ok(()))
}

#[cold]
fn misplaced(continues: bool) -> Error {
    let message = if continues {
        "a continuation without a message to continue"
    } else {
        "a new message inside a fragmented one"
    };
    Error::protocol(1002, message)
}

#[cold]
fn too_big(limit: usize) -> Error {
    Error::protocol(1009, format!("a message holds at most {limit} bytes"))
}

#[cold]
fn too_many_empty() -> Error {
    Error::protocol(
        1009,
        format!("over {MAX_EMPTY_FRAGMENTS} empty fragments in a message"),
    )
}

#[cold]
fn not_utf8() -> Error {
    Error::protocol(1007, "the text is not UTF-8")
}

/// From this size a message is split off the thread's chunk instead of copied:
/// a sixteenth of the chunk, so that one kept for long pins at most 16 times its size.
const SPLIT: usize = CHUNK / 16;

/// From this size the rest of a frame is read straight into its message.
const DIRECT: usize = 4 * 1024;

const MAX_EMPTY_FRAGMENTS: u16 = 1024;

#[cfg(test)]
mod tests;
