//! TLS over TCP, of either side, after its handshake.
//! Does not do the handshake, and knows no certificates.

use std::io::{self, IoSlice};
use std::mem;
#[cfg(feature = "client")]
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TLS stream whose writes tell the truth: what is said to be written is with
/// the system. rustls would take 64 KiB more and leave it to a later flush to
/// get them out, which whoever has nothing left to write does not think of.
///
/// So after a write that was `Pending`, the next one must begin with the same
/// bytes: they are encrypted already.
///
/// A peer that ends TCP without a close_notify is an `UnexpectedEof`: whether
/// bytes are missing at the end, only the protocol above can tell.
#[derive(Debug)]
pub(crate) struct TlsStream {
    stream: tokio_rustls::TlsStream<TcpStream>,
    /// Bytes that are encrypted and not all with the system, so not yet said to
    /// be written.
    taken: usize,
}

impl TlsStream {
    pub(crate) fn new(stream: impl Into<tokio_rustls::TlsStream<TcpStream>>) -> Self {
        Self {
            stream: stream.into(),
            taken: 0,
        }
    }

    /// The protocol that ALPN agreed on.
    #[cfg(feature = "client")]
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    #[cfg(feature = "client")]
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp().peer_addr().ok()
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        self.stream.get_ref().0
    }

    fn stream(&mut self) -> Pin<&mut tokio_rustls::TlsStream<TcpStream>> {
        Pin::new(&mut self.stream)
    }

    /// Gets out what was taken, and says that it is written.
    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ready!(self.stream().poll_flush(cx))?;
        Poll::Ready(Ok(mem::take(&mut self.taken)))
    }
}

impl AsyncRead for TlsStream {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            let part = &buf[..buf.len().min(TAKEN)];
            self.taken = ready!(self.stream().poll_write(cx, part))?;
        }
        self.poll_taken(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let part = first(bufs, &mut slices);
            self.taken = ready!(self.stream().poll_write_vectored(cx, part))?;
        }
        self.poll_taken(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    /// Sends close_notify, then FIN. The peer's side may stay open.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// The first `TAKEN` bytes of `bufs`, or fewer if they lie in too many slices.
fn first<'a, 'b>(bufs: &'b [IoSlice<'_>], out: &'a mut [IoSlice<'b>; SLICES]) -> &'a [IoSlice<'b>] {
    let (mut count, mut left) = (0, TAKEN);
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        if count == SLICES || left == 0 {
            break;
        }
        let part = &buf[..buf.len().min(left)];
        out[count] = IoSlice::new(part);
        count += 1;
        left -= part.len();
    }
    &out[..count]
}

/// How much is encrypted before it is written: four whole records, in one
/// system call. It is also what rustls takes at a time.
const TAKEN: usize = 64 * 1024;
const SLICES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_much_is_taken_as_goes_out_at_once() {
        let lengths = |bufs: &[IoSlice<'_>]| {
            let mut out = [IoSlice::new(&[]); SLICES];
            let part = first(bufs, &mut out);
            part.iter().map(|slice| slice.len()).collect::<Vec<_>>()
        };
        let (small, large) = ([1; 10], vec![2; TAKEN]);
        let (small, large) = (IoSlice::new(&small), IoSlice::new(&large));
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[IoSlice::new(&[]), small]), [10]);
        assert_eq!(lengths(&[small, large, small]), [10, TAKEN - 10]);
        assert_eq!(lengths(&[large, small]), [TAKEN]);
        assert_eq!(lengths(&[small; 40]), [10; SLICES]);
    }
}
