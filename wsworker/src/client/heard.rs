//! A connection's stream of which an answer is read though the request cannot be written any more.
//! Does not decide what to write; hyper does.
//!
//! A server may answer before it has all of a body, and leave (RFC 9112 §9.5). With bytes of the body
//! unread its end is a reset, which hyper finds out by a write and then gives up, though the answer
//! has come.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When the peer has left, writes wait until a read comes to its end.
pub(super) struct Heard<S> {
    stream: S,
    /// A write found out that the peer has left.
    left: bool,
    /// A read came to the end.
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Heard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            left: false,
            ended: false,
        }
    }

    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if !self.left {
            let written = ready!(write(Pin::new(&mut self.stream), cx));
            if !written.as_ref().is_err_and(|e| is_left(e.kind())) {
                return Poll::Ready(written);
            }
            self.left = true;
            // The read before this write came too early.
            cx.waker().wake_by_ref();
        }
        match self.ended {
            true => Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
            false => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.ended |= read.is_err() || (room > 0 && buf.remaining() == room);
        Poll::Ready(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: Connection> Connection for Heard<S> {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

fn is_left(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        kind,
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    )
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_write_fails_once_what_came_before_is_read() {
        let (near, mut far) = duplex(100);
        far.write_all(b"answer").await.unwrap();
        drop(far);
        let mut near = Heard::new(near);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(pin!(near.write(b"body")).poll(cx).is_pending());
        assert!(pin!(near.flush()).poll(cx).is_pending());
        let mut answer = [0; 10];
        assert_eq!(near.read(&mut answer).await.unwrap(), 6);
        assert!(pin!(near.write(b"body")).poll(cx).is_pending());
        assert_eq!(near.read(&mut answer).await.unwrap(), 0);
        let error = near.write(b"body").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
