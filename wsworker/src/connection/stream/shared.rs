//! A TCP stream that its connection reads and writes, and others of its thread may
//! write to while it does not.
//! Does not say when that is; the connection's handle does.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The connection's half. It reads by what knows when there is no more, and writes
/// past the other half.
#[derive(Debug)]
pub(crate) struct Shared(OwnedReadHalf);

/// The others' half. Dropping it does not shut the stream down.
#[derive(Debug)]
pub(in crate::connection) struct Writer(Option<OwnedWriteHalf>);

impl Shared {
    pub(super) fn new(stream: TcpStream) -> (Self, Writer) {
        let (reader, writer) = stream.into_split();
        (Self(reader), Writer(Some(writer)))
    }

    pub(super) fn take_back(self, mut writer: Writer) -> TcpStream {
        let writer = writer.0.take().expect(HALF);
        self.0.reunite(writer).expect("the halves of one stream")
    }

    #[inline]
    pub(super) fn tcp(&self) -> &TcpStream {
        self.0.as_ref()
    }

    fn poll_try(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.tcp().poll_write_ready(cx))?;
            match write(self.tcp()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Writer {
    /// Writes what the stream takes at once. Nothing when it takes none or has
    /// failed: which of the two the connection's next write finds out.
    #[inline]
    pub(in crate::connection) fn write_some(&self, bytes: &[u8]) -> usize {
        let half = self.0.as_ref().expect(HALF);
        half.try_write(bytes).unwrap_or(0)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            half.forget();
        }
    }
}

impl AsyncRead for Shared {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |tcp| tcp.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, |tcp| tcp.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Only the whole stream can be shut down: it is taken back before.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

const HALF: &str = "only what ends it takes the half out";
