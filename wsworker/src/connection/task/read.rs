//! What came, in: one read, and each item of it to whoever it is for.
//! Does not judge frames; the reader does.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::deliver::charge;
use super::{Connection, Listening, Share};
use crate::connection::consumer::Consumer;
use crate::connection::handle::State;
use crate::connection::life::Phase;
use crate::error::Error;
use crate::protocol::close;
use crate::wire::{Chunk, Item, OpCode, buffers};

/// What a step of reading came to.
#[derive(PartialEq)]
pub(super) enum Step {
    Again,
    Wait,
}

impl<C: Consumer, S: AsyncRead + AsyncWrite + Unpin> Connection<C, S> {
    /// Reads once, and hands over what came.
    pub(super) fn fill(&mut self, share: &mut Share, cx: &mut Context<'_>) -> Step {
        match self.life.phase() {
            Phase::Open | Phase::Closing => {}
            Phase::Lingering => return self.discard(cx),
            _ => return Step::Wait,
        }
        if !self.may_take() {
            self.stopped = true;
            return Step::Wait;
        }
        if self.stopped {
            self.stopped = false;
            // Silence counts again, and its deadline may come before what is armed.
            self.armed = u32::MAX;
            self.heard(0);
        }
        if let Some(awake) = self.awake.as_mut().filter(|awake| awake.stashed) {
            awake.stashed = false;
            let mut stash = std::mem::take(&mut awake.unparsed);
            self.parse(&mut stash, 0, share, cx);
            // What is still not taken stays where it is.
            if let Some(awake) = self.awake.as_mut().filter(|_| !stash.is_empty()) {
                awake.unparsed = stash;
            }
            return Step::Again;
        }
        let mut chunk = buffers::take();
        let step = match self.read(&mut chunk, cx) {
            Poll::Pending => Step::Wait,
            Poll::Ready(Ok(0)) => {
                self.life.lost(None, self.close_deadline());
                Step::Again
            }
            Poll::Ready(Ok(n)) => {
                self.parse(&mut chunk, n, share, cx);
                if !chunk.is_empty() {
                    // The chunk is the thread's.
                    self.awake().unparsed = chunk.copied();
                }
                Step::Again
            }
            Poll::Ready(Err(error)) => {
                self.lost(error);
                Step::Again
            }
        };
        buffers::give(chunk);
        step
    }

    /// May the next message be taken from the peer: by the consumer if it is
    /// free, else to be read ahead?
    #[inline]
    fn may_take(&self) -> bool {
        if self.handle.state() != State::Open {
            return true;
        }
        let (ahead, failed) = match &self.awake {
            Some(awake) => (awake.ahead_bytes, awake.failure.is_some()),
            None => (0, false),
        };
        let room = match self.consumer {
            Listening::Idle(_) => ahead == 0 && !failed,
            Listening::Running(..) => ahead < READ_AHEAD,
            Listening::Gone => false,
        };
        room && !self.handle.is_over_half()
    }

    /// One read: into the message under way if it is a large one, else behind
    /// what was left over, into `chunk`.
    fn read(&mut self, chunk: &mut Chunk, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        if let Some((buffer, room)) = self.reader.direct() {
            let n = ready!(poll_read(stream, &mut buffer.limit(room), cx))?;
            if n > 0
                && let Err(violation) = self.reader.direct_filled(n)
            {
                self.violated(violation);
            }
            return Poll::Ready(Ok(n));
        }
        let mut room = buffers::CHUNK;
        if let Some(awake) = &mut self.awake {
            if matches!(self.consumer, Listening::Running(..)) {
                room = READ_AHEAD.saturating_sub(awake.ahead_bytes).max(1);
            }
            chunk.buffer().extend_from_slice(awake.unparsed.as_slice());
        }
        let n = ready!(poll_read(stream, &mut chunk.buffer().limit(room), cx))?;
        if let Some(awake) = &mut self.awake {
            awake.unparsed = Chunk::default();
        }
        Poll::Ready(Ok(n))
    }

    /// Takes what lies in `chunk`, of which `n` bytes have just come. What it
    /// leaves there is to be kept.
    fn parse(&mut self, chunk: &mut Chunk, n: usize, share: &mut Share, cx: &mut Context<'_>) {
        let limit = self.handle.limits().max_message;
        let heads = self.reader.heads();
        let mut items = 0;
        // The first may be taken: else nothing would have been read.
        loop {
            match self.reader.next(chunk, limit) {
                Ok(Some(item)) => {
                    items += 1;
                    self.take(item, cx);
                    share.spend();
                }
                Ok(None) => break,
                Err(violation) => self.violated(violation),
            }
            if !matches!(self.life.phase(), Phase::Open | Phase::Closing) {
                // Nothing that comes after the end is heard.
                chunk.clear();
            }
            if chunk.is_empty() {
                break;
            }
            if share.is_spent() || !self.may_take() {
                self.awake().stashed = true;
                break;
            }
        }
        if n > 0 {
            self.heard(n);
        }
        let fresh = items > 0 || heads != self.reader.heads();
        self.time_frame(n, fresh, !chunk.is_empty());
    }

    #[inline]
    fn take(&mut self, item: Item, cx: &mut Context<'_>) {
        match item {
            Item::Message(message) => {
                if self.handle.state() != State::Open {
                    // Ours was the last word.
                } else if matches!(self.consumer, Listening::Idle(_)) {
                    self.deliver_message(message, cx);
                } else {
                    let message = message.detached_below(buffers::CHUNK / 2);
                    let awake = self.awake();
                    awake.ahead_bytes += charge(&message);
                    awake.ahead.push_back(message);
                }
            }
            Item::Ping(payload) => self.handle.send_control(OpCode::Pong, payload.as_bytes()),
            Item::Pong => {}
            Item::Close(payload) => {
                self.notice_close();
                match close::parse(payload.as_bytes()) {
                    Ok(close) => self.life.closed_by_peer(close, self.close_deadline()),
                    Err(violation) => self.violated(violation),
                }
            }
        }
    }

    pub(super) fn violated(&mut self, violation: Error) {
        self.notice_close();
        self.life.violated(violation, self.close_deadline());
    }

    /// Reads what nobody will hear, until the peer has read our Close and ends.
    fn discard(&mut self, cx: &mut Context<'_>) -> Step {
        let Some(stream) = &mut self.stream else {
            self.life.gone();
            return Step::Again;
        };
        let mut chunk = buffers::take();
        let polled = poll_read(stream, chunk.buffer(), cx);
        buffers::give(chunk);
        match polled {
            Poll::Pending => Step::Wait,
            Poll::Ready(Ok(n)) if n > 0 => Step::Again,
            Poll::Ready(_) => {
                self.stream = None;
                self.life.gone();
                Step::Again
            }
        }
    }
}

/// One read into `buffer`'s room.
#[inline]
fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut impl BufMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    // The future holds nothing over a `Pending`: it may be made anew each time.
    pin!(stream.read_buf(buffer)).poll(cx)
}

/// Bytes read while the consumer is busy; then the peer waits.
const READ_AHEAD: usize = 64 * 1024;
