//! Frames to be sent, encoded one after the other and written together.
//! Does no I/O: gives slices, takes note of how much of them went out.

use std::collections::VecDeque;
use std::io::IoSlice;
#[cfg(feature = "objects")]
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use fastwebsockets::{Frame, OpCode, Payload};

use super::chunk::CHUNK;
use super::{key, mask};
use crate::protocol::message::Message;

/// Which side of the opening handshake a connection was: a client masks what it
/// sends, a server does not (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

/// Encoded frames. Small payloads are copied behind each other; large ones stay
/// where they are and are written from there.
#[derive(Default)]
pub(crate) struct Batch {
    /// Headers and small payloads.
    bytes: Vec<u8>,
    /// How much of `bytes` went out.
    sent: usize,
    /// Payloads that stand between `bytes[..at]` and `bytes[at..]`.
    large: VecDeque<Large>,
    len: usize,
}

struct Large {
    at: usize,
    payload: Bytes,
}

impl Batch {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            sent: 0,
            large: VecDeque::new(),
            len: 0,
        }
    }

    /// Bytes that did not go out yet.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a message in one frame, to be written soon: a payload that is not
    /// small is not copied.
    #[inline]
    pub(crate) fn push_message(&mut self, role: Role, message: &Message) {
        self.push_shared_from(LARGE, role, message);
    }

    /// Appends a message in one frame, to wait: most payloads are copied, so that
    /// they cost what `len` says, and not the receive buffer they came in.
    pub(crate) fn push_waiting(&mut self, role: Role, message: &Message) {
        self.push_shared_from(KEPT_SHARED, role, message);
    }

    #[inline]
    fn push_shared_from(&mut self, from: usize, role: Role, message: &Message) {
        let opcode = opcode(message);
        if message.len() >= from && role == Role::Server {
            self.push_large(opcode, message.shared());
        } else {
            self.push(role, opcode, message.as_bytes());
        }
    }

    /// Appends a frame with a copy of its payload.
    #[inline]
    pub(crate) fn push(&mut self, role: Role, opcode: OpCode, payload: &[u8]) {
        if role == Role::Client {
            return self.push_masked(opcode, payload);
        }
        self.len += encode(opcode, payload, &mut self.bytes);
    }

    /// Appends a message in one frame that can be [cut](Self::cut) out again: only a small
    /// one. Gives whether it is.
    #[cfg(feature = "objects")]
    #[inline]
    pub(crate) fn push_small(&mut self, role: Role, message: &Message) -> bool {
        let small = message.len() < LARGE;
        if small {
            self.push(role, opcode(message), message.as_bytes());
        }
        small
    }

    /// Where the next [small](Self::push_small) frame will lie.
    #[cfg(feature = "objects")]
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.bytes.len()
    }

    /// Takes out frames that are [small](Self::push_small), in one piece and not written yet.
    #[cfg(feature = "objects")]
    pub(crate) fn cut(&mut self, frames: Range<usize>) -> Bytes {
        self.len -= frames.len();
        for large in &mut self.large {
            if large.at >= frames.end {
                large.at -= frames.len();
            }
        }
        let cut = Bytes::copy_from_slice(&self.bytes[frames.clone()]);
        self.bytes.drain(frames);
        if self.is_empty() {
            self.clear();
        }
        cut
    }

    /// Appends a copy of frames that are encoded already.
    pub(crate) fn push_frames(&mut self, frames: &[u8]) {
        self.bytes.extend_from_slice(frames);
        self.len += frames.len();
    }

    /// Appends frames that are encoded already, for others too.
    pub(crate) fn push_shared_frames(&mut self, frames: Bytes) {
        if frames.len() < SHARED {
            return self.push_frames(&frames);
        }
        // Without a head among `bytes`, which `cut` could then not tell from what is behind it:
        // such frames are not held in a turn.
        self.len += frames.len();
        self.large.push_back(Large {
            at: self.bytes.len(),
            payload: frames,
        });
    }

    /// Appends a client's frame: a masked copy, as the payload may be others' too.
    #[inline(never)]
    fn push_masked(&mut self, opcode: OpCode, payload: &[u8]) {
        let key = key::fresh();
        let (head, size) = head(opcode, payload, Some(key));
        self.bytes.extend_from_slice(&head[..size]);
        let at = self.bytes.len();
        if payload.len() < KEPT_SHARED {
            self.bytes.extend_from_slice(payload);
            mask::apply(&mut self.bytes[at..], key);
        } else {
            // On its own, so that what has to wait is not copied again.
            let mut masked = BytesMut::from(payload);
            mask::apply(&mut masked, key);
            let payload = masked.freeze();
            self.large.push_back(Large { at, payload });
        }
        self.len += size + payload.len();
    }

    fn push_large(&mut self, opcode: OpCode, payload: &Bytes) {
        let (head, size) = head(opcode, payload, None);
        self.bytes.extend_from_slice(&head[..size]);
        self.large.push_back(Large {
            at: self.bytes.len(),
            payload: payload.clone(),
        });
        self.len += size + payload.len();
    }

    /// Is all of it one slice?
    #[inline]
    pub(crate) fn as_slice(&self) -> Option<&[u8]> {
        self.large.is_empty().then(|| &self.bytes[self.sent..])
    }

    /// The first slices to write, in order; gives how many there are.
    pub(crate) fn slices<'a>(&'a self, out: &mut [IoSlice<'a>; SLICES]) -> usize {
        let (mut count, mut from) = (0, self.sent);
        for large in &self.large {
            for part in [&self.bytes[from..large.at], &large.payload[..]] {
                if count == SLICES {
                    return count;
                }
                if !part.is_empty() {
                    out[count] = IoSlice::new(part);
                    count += 1;
                }
            }
            from = large.at;
        }
        if from < self.bytes.len() && count < SLICES {
            out[count] = IoSlice::new(&self.bytes[from..]);
            count += 1;
        }
        count
    }

    /// Forgets the first `n` bytes: they went out.
    #[inline]
    pub(crate) fn advance(&mut self, n: usize) {
        self.len -= n;
        if self.len == 0 {
            return self.clear();
        }
        let mut n = n;
        while let Some(large) = self.large.front_mut() {
            let before = n.min(large.at - self.sent);
            self.sent += before;
            n -= before;
            if n < large.payload.len() {
                large.payload.advance(n);
                return;
            }
            n -= large.payload.len();
            self.large.pop_front();
        }
        self.sent += n;
    }

    /// Moves what did not go out to a batch of its own size, for a connection to keep.
    pub(crate) fn take_rest(&mut self) -> Self {
        let waiting = self.large.iter().map(|large| large.payload.len());
        let shared: usize = waiting.filter(|len| *len >= KEPT_SHARED).sum();
        let mut rest = Self {
            bytes: Vec::with_capacity(self.len - shared),
            len: self.len,
            ..Self::new()
        };
        let mut from = self.sent;
        for Large { at, payload } in self.large.drain(..) {
            rest.bytes.extend_from_slice(&self.bytes[from..at]);
            from = at;
            if payload.len() >= KEPT_SHARED {
                let at = rest.bytes.len();
                rest.large.push_back(Large { at, payload });
            } else {
                rest.bytes.extend_from_slice(&payload);
            }
        }
        rest.bytes.extend_from_slice(&self.bytes[from..]);
        self.clear();
        rest
    }

    /// Empties it and keeps a buffer of moderate size for the next turn.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        if !self.large.is_empty() {
            self.large.clear();
        }
        self.sent = 0;
        self.len = 0;
    }
}

/// Appends a message in one frame, as a server sends it.
#[cfg(feature = "objects")]
pub(crate) fn encode_message(message: &Message, out: &mut Vec<u8>) {
    encode(opcode(message), message.as_bytes(), out);
}

/// Gives the frame's size.
#[inline]
fn encode(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) -> usize {
    let (head, size) = head(opcode, payload, None);
    out.reserve(MAX_HEAD + payload.len());
    // Of a size that the compiler knows, and then cut: cheaper than a call.
    let end = out.len() + size;
    out.extend_from_slice(&head);
    out.truncate(end);
    out.extend_from_slice(payload);
    size + payload.len()
}

#[inline]
fn opcode(message: &Message) -> OpCode {
    match message.is_text() {
        true => OpCode::Text,
        false => OpCode::Binary,
    }
}

/// The head of a whole frame, with the key that masks its payload, if any.
#[inline]
fn head(opcode: OpCode, payload: &[u8], key: Option<[u8; 4]>) -> ([u8; MAX_HEAD], usize) {
    let mut head = [0; MAX_HEAD];
    // A fresh frame, since one that was unmasked would write a masked header.
    let size = Frame::new(true, opcode, key, Payload::Borrowed(payload)).fmt_head(&mut head);
    (head, size)
}

const MAX_HEAD: usize = 16;

/// Slices in one write.
pub(crate) const SLICES: usize = 32;

/// From this size a payload is written from where it lies.
const LARGE: usize = 4 * 1024;

/// From this size frames that others get too are not copied.
const SHARED: usize = 512;

/// From this size a payload that waits is not copied: the buffer that it pins is
/// at most about twice its size.
const KEPT_SHARED: usize = CHUNK / 2;

/// What a thread's batch keeps of its buffer.
const KEPT: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Chunk, Item, Reader};

    fn first(batch: &Batch, n: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = batch.slices(&mut slices);
        let bytes = slices[..count].iter().flat_map(|slice| slice.iter());
        bytes.take(n).copied().collect()
    }

    #[test]
    fn a_clients_frames_are_masked_copies_that_a_server_reads() {
        let sizes = [0, 1, 125, 126, 5000, 65_535, 65_536, 200_000];
        let messages = sizes.map(|size| Message::binary(vec![7; size]));
        let mut batch = Batch::default();
        for message in &messages {
            batch.push_message(Role::Client, message);
            batch.push_waiting(Role::Client, message);
        }
        batch.push(Role::Client, OpCode::Ping, b"ping");
        let sent = first(&batch, batch.len());
        let (mut reader, mut chunk) = (Reader::new(true), Chunk::from(&sent[..]));
        let mut next = || match reader.next(&mut chunk, 1 << 20).expect("a good frame") {
            Item::Small { payload, .. } | Item::Ping(payload) => payload.of(&chunk).to_vec(),
            Item::Large { payload, .. } => payload.to_vec(),
            other => panic!("{other:?}"),
        };
        for message in &messages {
            for _ in 0..2 {
                assert!(next() == message.as_bytes(), "{message:?}");
            }
        }
        assert_eq!(next(), b"ping");
        // The messages themselves are as they were.
        assert!(
            messages
                .iter()
                .all(|m| m.as_bytes().iter().all(|b| *b == 7))
        );
    }

    #[cfg(feature = "objects")]
    #[test]
    fn frames_that_are_taken_out_leave_those_around_them_as_they_were() {
        let (mut batch, mut without) = (Batch::default(), Batch::default());
        let around = [20, 5000, 3].map(|size| Message::binary(vec![size as u8; size]));
        let push = |batch: &mut Batch| {
            for message in &around {
                batch.push_message(Role::Server, message);
            }
        };
        push(&mut batch);
        let start = batch.end();
        assert!(batch.push_small(Role::Server, &Message::text("taken")));
        assert!(batch.push_small(Role::Server, &Message::text("out")));
        assert!(!batch.push_small(Role::Server, &Message::binary(vec![0; LARGE])));
        let frames = start..batch.end();
        push(&mut batch);
        assert_eq!(batch.cut(frames)[..], *b"\x81\x05taken\x81\x03out");
        push(&mut without);
        push(&mut without);
        assert_eq!(first(&batch, usize::MAX), first(&without, usize::MAX));
        assert_eq!(batch.len(), without.len());
    }

    #[test]
    fn frames_leave_in_order_however_the_writes_are_cut() {
        let sizes = [0, 1, 125, 126, 5000, 20, 66_000, 4096, 3];
        for step in [97, 4096, 5000, 100_000] {
            let (mut batch, mut wanted) = (Batch::default(), Vec::new());
            for (i, size) in sizes.into_iter().enumerate() {
                let message = Message::binary(vec![i as u8; size]);
                batch.push_message(Role::Server, &message);
                let mut one = Batch::default();
                one.push(Role::Server, OpCode::Binary, message.as_bytes());
                wanted.extend_from_slice(one.as_slice().expect("a copy is one slice"));
            }
            assert_eq!(batch.len(), wanted.len());
            let mut sent = Vec::new();
            while !batch.is_empty() {
                let n = step.min(batch.len());
                sent.extend(first(&batch, n));
                batch.advance(n);
                if sent.len() % 3 == 0 {
                    batch = batch.take_rest();
                }
            }
            assert_eq!(sent, wanted, "cut every {step} bytes");
        }
    }
}
