//! A stream that a test can stall or cut, as a network does.
//! Does not change a byte of what passes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// What a test holds of a stream.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
}

/// The stream behind the gate.
#[derive(Debug)]
pub(crate) struct Gated {
    /// Until it is cut.
    stream: Option<Stream>,
    gate: Arc<Gate>,
}

#[derive(Debug, Default)]
struct State {
    passes: Passes,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Passes {
    #[default]
    All,
    /// Nothing for now, either way.
    Nothing,
    /// Nothing, for good.
    Never,
}

enum Side {
    Reader,
    Writer,
}

impl Gate {
    /// Nothing passes until `open`.
    pub(crate) fn shut(&self) {
        self.turn(Passes::Nothing);
    }

    pub(crate) fn open(&self) {
        self.turn(Passes::All);
    }

    /// The stream is dropped.
    pub(crate) fn cut(&self) {
        self.turn(Passes::Never);
    }

    fn turn(&self, to: Passes) {
        let mut state = self.state();
        if matches!(state.passes, Passes::Never) {
            return;
        }
        state.passes = to;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// May it pass? Whoever asks is woken when that changes.
    fn poll_passes(&self, side: &Side, cx: &Context<'_>) -> Passes {
        let mut state = self.state();
        let waker = match side {
            Side::Reader => &mut state.reader,
            Side::Writer => &mut state.writer,
        };
        match waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        state.passes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gated {
    pub(super) fn new(stream: Stream, gate: Arc<Gate>) -> Self {
        Self {
            stream: Some(stream),
            gate,
        }
    }

    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    pub(super) fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.stream.as_mut()
    }

    fn pass(&mut self, side: &Side, cx: &Context<'_>) -> Poll<io::Result<Pin<&mut Stream>>> {
        match self.gate.poll_passes(side, cx) {
            Passes::All => {}
            Passes::Nothing => return Poll::Pending,
            Passes::Never => self.stream = None,
        }
        let reset = || io::ErrorKind::ConnectionReset.into();
        Poll::Ready(self.stream.as_mut().map(Pin::new).ok_or_else(reset))
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.pass(&Side::Reader, cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.pass(&Side::Writer, cx))?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.pass(&Side::Writer, cx))?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.pass(&Side::Writer, cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.pass(&Side::Writer, cx))?.poll_shutdown(cx)
    }
}
