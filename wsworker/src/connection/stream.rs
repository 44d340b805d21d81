//! The byte streams that a connection runs on.
//! Does not open or accept them.

#[cfg(feature = "testing")]
mod gate;
#[cfg(unix)]
mod loose;
#[cfg(unix)]
mod polled;
#[cfg(unix)]
mod sock;
#[cfg(feature = "tls")]
mod tls;

use std::io::{self, IoSlice};
#[cfg(feature = "client")]
use std::net::SocketAddr;
use std::pin::{Pin, pin};
#[cfg(feature = "testing")]
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

#[cfg(feature = "testing")]
pub(crate) use self::gate::Gate;
#[cfg(feature = "testing")]
use self::gate::Gated;
#[cfg(unix)]
pub(crate) use self::loose::Loose;
#[cfg(unix)]
pub(super) use self::polled::{Polled, Ready, Writer};
#[cfg(feature = "tls")]
pub(crate) use self::tls::TlsStream;

/// A TCP, TLS or Unix stream, or one within the process. One type, so that the
/// server is compiled once.
///
/// After a write that was `Pending`, the next one must begin with the same bytes.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    /// A TCP stream that nothing watches until it must be waited for, and that is `Tcp`
    /// as soon as the runtime knows what it is ready for, or is to find out by itself.
    #[cfg(unix)]
    Loose(Loose),
    /// A TCP stream that the thread's reactor watches.
    #[cfg(unix)]
    Polled(Polled),
    /// Boxed: its state is many times as large as a socket.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
    #[cfg(unix)]
    Unix(UnixStream),
    Memory(DuplexStream),
    /// Any other, in a test's hands.
    #[cfg(feature = "testing")]
    Gated(Box<Gated>),
}

/// What others write by: nobody does where there is no reactor.
#[cfg(not(unix))]
#[derive(Debug)]
pub(super) enum Writer {}

#[cfg(not(unix))]
impl Writer {
    pub(super) fn write_some(&self, _: &[u8]) -> usize {
        match *self {}
    }
}

impl Stream {
    /// A socket that was just accepted.
    #[cfg(unix)]
    pub(super) fn loose(socket: mio::net::TcpStream) -> Self {
        Self::Loose(Loose::Unwatched(socket))
    }

    /// Is it plain TCP, that no reactor watches?
    pub(crate) fn is_plain(&self) -> bool {
        #[cfg(unix)]
        if matches!(self, Self::Loose(_)) {
            return true;
        }
        matches!(self, Self::Tcp(_))
    }

    /// Has the runtime watch it from now on, if nothing did when it was accepted.
    pub(crate) fn watch(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        if let Self::Loose(stream) = self {
            *self = Self::Tcp(stream.take_watched()?);
        }
        Ok(())
    }

    /// Tries something while nobody has told what the socket is ready for, and has the
    /// runtime tell if it must be waited for. `None`: the runtime knows, ask it.
    ///
    /// Nothing that can be done at once is `Pending`: hyper closes without its last
    /// write where that is so and a request's body was not read.
    #[cfg(unix)]
    fn poll_loose<R>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&Loose) -> io::Result<R>,
    ) -> Option<Poll<io::Result<R>>> {
        let Self::Loose(stream) = self else {
            return None;
        };
        let told = stream.is_watched() && stream.poll_told(cx).is_ready();
        if !told {
            match attempt(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Some(Poll::Ready(done)),
            }
            if stream.poll_told(cx).is_pending() {
                return Some(Poll::Pending);
            }
        }
        self.watch().err().map(|error| Poll::Ready(Err(error)))
    }

    /// Whom it leads to, where that has an address.
    #[cfg(feature = "client")]
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Self::Loose(stream) => stream.peer_addr(),
            #[cfg(unix)]
            Self::Polled(stream) => stream.peer_addr(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.peer_addr(),
            #[cfg(unix)]
            Self::Unix(_) => None,
            Self::Memory(_) => None,
            #[cfg(feature = "testing")]
            Self::Gated(gated) => gated.stream()?.peer_addr(),
        }
    }

    /// After a read: may there be more by now? Asks the system only where that is
    /// unknown; `Pending` is followed by a call when something comes.
    #[inline]
    pub(super) fn poll_more(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error is for the next read to find.
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx).map(drop),
            #[cfg(unix)]
            Self::Polled(stream) if stream.is_readable() => Poll::Ready(()),
            #[cfg(unix)]
            Self::Polled(_) => Poll::Pending,
            #[cfg(unix)]
            Self::Unix(stream) => stream.poll_read_ready(cx).map(drop),
            _ => Poll::Ready(()),
        }
    }

    /// Writes what it takes at once. Nothing when it takes none or has failed: which
    /// of the two the next `poll_write` finds out.
    #[inline]
    pub(super) fn write_some(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> usize {
        let written = match self {
            // Neither asks to be called nor counts for the runtime: half the price.
            Self::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => stream.try_write(bytes),
            other => match Pin::new(other).poll_write(cx, bytes) {
                Poll::Ready(written) => written,
                Poll::Pending => Ok(0),
            },
        };
        written.unwrap_or(0)
    }

    /// Has the peer reset the connection? As far as whoever watches it was told, from now
    /// on if nobody did: nobody is asked, and nobody called when it does. One in memory knows no reset.
    pub(super) fn is_reset(&mut self) -> bool {
        // One that cannot be watched fails as soon as it is used.
        let _ = self.watch();
        match self {
            Self::Tcp(stream) => has_failed(stream.ready(Interest::ERROR)),
            #[cfg(unix)]
            Self::Polled(stream) => stream.has_failed(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => has_failed(stream.tcp().ready(Interest::ERROR)),
            #[cfg(unix)]
            Self::Unix(stream) => has_failed(stream.ready(Interest::ERROR)),
            #[cfg(unix)]
            Self::Loose(_) => false,
            Self::Memory(_) => false,
            #[cfg(feature = "testing")]
            Self::Gated(gated) => gated.stream_mut().is_some_and(Self::is_reset),
        }
    }

    /// Does shutting it down tell the peer more than closing it would?
    /// RFC 8446 §6.1: each side sends a close_notify, also as the second.
    #[inline]
    pub(super) fn says_goodbye(&self) -> bool {
        #[cfg(feature = "tls")]
        return matches!(self, Self::Tls(_));
        #[cfg(not(feature = "tls"))]
        false
    }

    /// The same stream, with what others write by: of one that a reactor watches only.
    pub(super) fn share(self) -> (Self, Option<Writer>) {
        match self {
            #[cfg(unix)]
            Self::Polled(stream) => {
                let (stream, writer) = stream.share();
                (Self::Polled(stream), Some(writer))
            }
            other => (other, None),
        }
    }

    /// Reads once, into the buffer's room.
    #[inline]
    pub(super) fn poll_read_buf(
        &mut self,
        buffer: &mut impl BufMut,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match self {
            #[cfg(unix)]
            Self::Polled(stream) => stream.poll_read_buf(buffer),
            // The future holds nothing over a `Pending`: it may be made anew each time.
            other => pin!(other.read_buf(buffer)).poll(cx),
        }
    }

    /// The same stream, for this gate to let pass.
    #[cfg(feature = "testing")]
    pub(super) fn gated(stream: Self, gate: Arc<Gate>) -> Self {
        Self::Gated(Box::new(Gated::new(stream, gate)))
    }
}

/// Is it ready for an error right now?
fn has_failed(ready: impl Future<Output = io::Result<tokio::io::Ready>>) -> bool {
    let polled = pin!(ready).poll(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Ok(ready)) if ready.is_error())
}

macro_rules! forward {
    ($self:ident, $cx:ident, $attempt:expr, $stream:ident => $call:expr) => {{
        let this = $self.get_mut();
        #[cfg(unix)]
        if let Some(polled) = this.poll_loose($cx, $attempt) {
            return polled;
        }
        match this {
            Stream::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(unix)]
            Stream::Loose(_) => unreachable!("it was tried, or is watched"),
            #[cfg(unix)]
            Stream::Polled(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
            #[cfg(unix)]
            Stream::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Memory(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(feature = "testing")]
            Stream::Gated(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    }};
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, cx, |loose| loose.read(buf).map(drop), stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, cx, |loose| loose.write(buf), stream => stream.poll_write(cx, buf))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, cx, |loose| loose.write_vectored(bufs), stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, cx, |_| Ok(()), stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, cx, Loose::shut_down, stream => stream.poll_shutdown(cx))
    }
}
