//! Bytes that were read, until they are used up.
//! Does not read, or know frames.

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

    /// Uses up `len` bytes from `from` on and what is before them.
    #[inline]
    pub(super) fn use_up(&mut self, from: usize, len: usize) -> Part {
        let at = self.at + from;
        self.skip(from + len);
        Part { at, len }
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

    /// Empties it and makes room for `CHUNK` bytes. Where a message still holds a
    /// part of it, the memory is new; else there is no copy and no allocation.
    #[inline]
    pub(crate) fn renew(&mut self) {
        self.clear();
        if self.bytes.capacity() < CHUNK {
            self.bytes.reserve(CHUNK);
        }
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

/// A part of a chunk that is used up, and that lies there until the chunk is
/// read into again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    at: usize,
    len: usize,
}

impl Part {
    /// The bytes, of the chunk that they were found in.
    #[inline]
    pub(crate) fn of(self, chunk: &Chunk) -> &[u8] {
        &chunk.bytes[self.at..][..self.len]
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
