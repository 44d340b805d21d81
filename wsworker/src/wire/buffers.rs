//! Each thread's buffer for reading, lent to whichever connection has bytes.
//! Taken out while it is lent, so that a callback that panics or re-enters
//! only costs a new one.

use std::cell::Cell;

use bytes::BytesMut;

/// How much one read can bring: a frame of 64 KiB with room to spare, since one
/// that does not fit is copied.
pub(crate) const CHUNK: usize = 128 * 1024;

/// This thread's buffer, empty, with room for `CHUNK` bytes.
#[inline]
pub(crate) fn take() -> BytesMut {
    let mut chunk = SPARE.take().unwrap_or_default();
    chunk.clear();
    // Where a message still holds a part of it, this is a new one; else no copy,
    // no allocation.
    chunk.reserve(CHUNK);
    chunk
}

/// Gives it back.
#[inline]
pub(crate) fn give(chunk: BytesMut) {
    SPARE.set(Some(chunk));
}

thread_local! {
    static SPARE: Cell<Option<BytesMut>> = const { Cell::new(None) };
}
