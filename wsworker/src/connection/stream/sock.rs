//! System calls on a TCP socket that the runtime does not watch.
//! Does not know what the socket is ready for: each is `WouldBlock` where it would wait.

use std::io;
use std::net::Shutdown;

use bytes::BufMut;
use socket2::SockRef;

/// Reads once, into the buffer's room; gives also how much that was.
#[inline]
#[expect(
    unsafe_code,
    reason = "the alternative fills 128 KiB with zeros before each read"
)]
pub(super) fn recv(socket: &SockRef<'_>, buffer: &mut impl BufMut) -> (io::Result<usize>, usize) {
    // SAFETY: `as_uninit_slice_mut` asks that nothing uninitialised is written, and
    // `recv` writes what has come; it gives how many bytes, from the first on, it has
    // initialised, which is what `advance_mut` asks for.
    unsafe {
        let space = buffer.chunk_mut().as_uninit_slice_mut();
        let room = space.len();
        let read = socket.recv(space);
        if let Ok(n) = read {
            buffer.advance_mut(n);
        }
        (read, room)
    }
}

/// Sends no more.
pub(super) fn shut_down(socket: &SockRef<'_>) -> io::Result<()> {
    match socket.shutdown(Shutdown::Write) {
        // The peer was first.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        shut => shut,
    }
}
