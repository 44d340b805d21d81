//! A TCP socket that its thread's reactor watches: read and written past the runtime.
//! Does not watch it; `reactor` does, and says what it has become ready for.

use std::io::{self, IoSlice, Write};
use std::ops::{BitOr, Deref};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BufMut;
use mio::event::Event;
use mio::net::TcpStream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sock::{recv, shut_down};

/// The socket, and what it is ready for. Nobody asks to be called: whoever has it is,
/// with each event that says anything new.
#[derive(Debug)]
pub(crate) struct Polled {
    socket: Socket,
    ready: Ready,
}

#[derive(Debug)]
enum Socket {
    Sole(TcpStream),
    /// Others may write to it too.
    Shared(Arc<TcpStream>),
}

/// What others write by.
#[derive(Debug)]
pub(in crate::connection) struct Writer(Arc<TcpStream>);

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) struct Ready(u8);

impl Polled {
    /// Takes a socket that nothing watches, for `register` to have it watched.
    pub(in crate::connection) fn new(
        mut socket: TcpStream,
        register: impl FnOnce(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<Self> {
        register(&mut socket)?;
        Ok(Self {
            socket: Socket::Sole(socket),
            // What there is to read is told at once.
            ready: Ready::WRITABLE,
        })
    }

    /// Gives whether it was not ready for all of that before.
    #[inline]
    pub(in crate::connection) fn happened(&mut self, ready: Ready) -> bool {
        let before = self.ready;
        self.ready = before | ready;
        self.ready != before
    }

    #[inline]
    pub(super) fn is_readable(&self) -> bool {
        self.ready.is(Ready::READABLE | Ready::ENDED)
    }

    /// Has the peer reset the connection, as far as is known?
    pub(super) fn has_failed(&self) -> bool {
        self.ready.is(Ready::FAILED)
    }

    #[cfg(feature = "client")]
    pub(super) fn peer_addr(&self) -> Option<std::net::SocketAddr> {
        self.socket.peer_addr().ok()
    }

    /// From now on others may write to it, by this.
    pub(super) fn share(self) -> (Self, Writer) {
        let socket = match self.socket {
            Socket::Sole(socket) => Arc::new(socket),
            Socket::Shared(socket) => socket,
        };
        let writer = Writer(socket.clone());
        let socket = Socket::Shared(socket);
        (Self { socket, ..self }, writer)
    }

    /// Reads once, into the buffer's room.
    #[inline]
    pub(super) fn poll_read_buf(&mut self, buffer: &mut impl BufMut) -> Poll<io::Result<usize>> {
        if !self.is_readable() {
            return Poll::Pending;
        }
        let (read, room) = recv(&SockRef::from(&*self.socket), buffer);
        match read {
            Ok(n) => {
                // There was no more, as an event will say of what comes later.
                if 0 < n && n < room {
                    self.ready = self.ready.without(Ready::READABLE);
                }
                Poll::Ready(Ok(n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = self.ready.without(Ready::READABLE | Ready::ENDED);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn poll_try(
        &mut self,
        write: impl FnOnce(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if !self.ready.is(Ready::WRITABLE) {
            return Poll::Pending;
        }
        match write(&self.socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.ready = self.ready.without(Ready::WRITABLE);
                Poll::Pending
            }
            written => Poll::Ready(written),
        }
    }
}

impl Writer {
    /// Writes what the stream takes at once. Nothing when it takes none or has
    /// failed: which of the two the connection's next write finds out.
    #[inline]
    pub(in crate::connection) fn write_some(&self, bytes: &[u8]) -> usize {
        (&*self.0).write(bytes).unwrap_or(0)
    }
}

impl Ready {
    const READABLE: Self = Self(1);
    const WRITABLE: Self = Self(2);
    /// The peer sends no more; what it sent may still be there.
    const ENDED: Self = Self(4);
    const FAILED: Self = Self(8);

    #[inline]
    pub(in crate::connection) fn of(event: &Event) -> Self {
        let flags = [
            (event.is_readable(), Self::READABLE),
            (event.is_writable(), Self::WRITABLE),
            (event.is_read_closed(), Self::ENDED),
            (
                event.is_error(),
                Self::FAILED | Self::READABLE | Self::WRITABLE,
            ),
        ];
        let flags = flags.into_iter().filter(|(is, _)| *is);
        flags.fold(Self(0), |all, (_, flag)| all | flag)
    }

    /// Is it ready for any of these?
    #[inline]
    fn is(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    #[inline]
    fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }
}

impl BitOr for Ready {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Deref for Socket {
    type Target = TcpStream;

    #[inline]
    fn deref(&self) -> &TcpStream {
        match self {
            Self::Sole(socket) => socket,
            Self::Shared(socket) => socket,
        }
    }
}

impl AsyncRead for Polled {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_buf(buf).map_ok(drop)
    }
}

impl AsyncWrite for Polled {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_try(|mut socket| socket.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_try(|mut socket| socket.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shut_down(&SockRef::from(&*self.socket)))
    }
}
