//! A TCP socket that was just accepted: nothing watches it before it must be waited for,
//! which many never must.
//! Does not say when it must be; the stream that has it does.

use std::io::{self, IoSlice, Write};
use std::task::{Context, Poll};

use bytes::BufMut;
use mio::net::TcpStream;
use socket2::SockRef;

use super::sock::{recv, shut_down};

/// The socket, and who watches it.
#[derive(Debug)]
pub(crate) enum Loose {
    Unwatched(TcpStream),
    /// By the runtime, which has not told yet what it is ready for.
    Watched(tokio::net::TcpStream),
    /// It was given away.
    Gone,
}

impl Loose {
    /// Gives it away, watched by nobody.
    pub(in crate::connection) fn take(&mut self) -> io::Result<TcpStream> {
        match std::mem::replace(self, Self::Gone) {
            Self::Unwatched(socket) => Ok(socket),
            Self::Watched(stream) => stream.into_std().map(TcpStream::from_std),
            Self::Gone => Err(gone()),
        }
    }

    /// Gives it away, watched by the runtime.
    pub(super) fn take_watched(&mut self) -> io::Result<tokio::net::TcpStream> {
        match std::mem::replace(self, Self::Gone) {
            Self::Unwatched(socket) => tokio::net::TcpStream::from_std(socket.into()),
            Self::Watched(stream) => Ok(stream),
            Self::Gone => Err(gone()),
        }
    }

    /// Waits for the runtime to tell what the socket is ready for.
    pub(super) fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self, Self::Unwatched(_)) {
            *self = Self::Watched(self.take_watched()?);
        }
        let Self::Watched(stream) = self else {
            return Poll::Ready(Err(gone()));
        };
        // Whichever comes first, whatever is waited for; an error is for the next read to find.
        let told = [stream.poll_read_ready(cx), stream.poll_write_ready(cx)];
        match told.iter().any(Poll::is_ready) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Does the runtime watch it?
    pub(super) fn is_watched(&self) -> bool {
        matches!(self, Self::Watched(_))
    }

    #[cfg(feature = "client")]
    pub(super) fn peer_addr(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Unwatched(socket) => socket.peer_addr().ok(),
            Self::Watched(stream) => stream.peer_addr().ok(),
            Self::Gone => None,
        }
    }

    // Each of these is `WouldBlock` where it must wait.

    pub(super) fn read(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        recv(&self.socket()?, buffer).0
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.socket()?).write(bytes)
    }

    pub(super) fn write_vectored(&self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self.socket()?).write_vectored(bytes)
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        shut_down(&self.socket()?)
    }

    fn socket(&self) -> io::Result<SockRef<'_>> {
        match self {
            Self::Unwatched(socket) => Ok(socket.into()),
            Self::Watched(stream) => Ok(stream.into()),
            Self::Gone => Err(gone()),
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("nobody could watch the socket")
}
