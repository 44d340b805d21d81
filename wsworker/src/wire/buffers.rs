//! Bytes that were read, and each thread's buffer for them, lent to whichever
//! connection has bytes. Taken out while it is lent, so that a callback that
//! panics or re-enters only costs a new one.

use std::cell::Cell;

use bytes::{Buf, BytesMut};

/// Bytes that were read, of which the first `at` are used up. Not a `BytesMut`
/// alone, as moving one's start costs more than counting.
#[derive(Default)]
pub(crate) struct Chunk {
    bytes: BytesMut,
    at: usize,
}

impl Chunk {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// `len` bytes from `from` on, to be changed in place.
    #[inline]
    pub(crate) fn part(&mut self, from: usize, len: usize) -> &mut [u8] {
        &mut self.bytes[self.at + from..][..len]
    }

    /// Uses up the first `n` bytes.
    #[inline]
    pub(crate) fn skip(&mut self, n: usize) {
        self.at += n;
        debug_assert!(self.at <= self.bytes.len());
    }

    /// Takes the first `n` bytes off without a copy.
    pub(crate) fn split(&mut self, n: usize) -> BytesMut {
        self.bytes.advance(self.at);
        self.at = 0;
        self.bytes.split_to(n)
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.at = 0;
    }

    /// A copy of what is not used up, of its own size.
    pub(crate) fn copied(&self) -> Self {
        Self::from(self.as_slice())
    }

    /// Where a read puts what it brings.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }
}

impl From<&[u8]> for Chunk {
    fn from(bytes: &[u8]) -> Self {
        let bytes = BytesMut::from(bytes);
        Self { bytes, at: 0 }
    }
}

/// How much one read can bring: a frame of 64 KiB with room to spare, since one
/// that does not fit is copied.
pub(crate) const CHUNK: usize = 128 * 1024;

/// This thread's buffer, empty, with room for `CHUNK` bytes.
#[inline]
pub(crate) fn take() -> Chunk {
    let mut chunk = SPARE.with(Cell::take).unwrap_or_default();
    chunk.clear();
    if chunk.bytes.capacity() < CHUNK {
        // Where a message still holds a part of it, this is a new one; else no
        // copy, no allocation.
        chunk.bytes.reserve(CHUNK);
    }
    chunk
}

/// Gives it back.
#[inline]
pub(crate) fn give(chunk: Chunk) {
    SPARE.with(|spare| spare.set(Some(chunk)));
}

thread_local! {
    static SPARE: Cell<Option<Chunk>> = const { Cell::new(None) };
}
