//! What came, in: one read, and each item of it to whoever it is for.
//! Does not judge frames; the reader does.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};

use super::deliver::charge;
use super::{Connection, Listening};
use crate::connection::consumer::{Consumer, Hearing, Turned};
use crate::connection::handle::State;
use crate::connection::life::Phase;
use crate::connection::turn::{Inbox, Turn};
use crate::error::Error;
use crate::protocol::close;
use crate::protocol::message::Message;
use crate::wire::{CHUNK, Chunk, Item, Part};

/// What a step of reading came to.
#[derive(PartialEq)]
pub(super) enum Step {
    Again,
    Wait,
}

impl<C: Consumer> Connection<C> {
    /// Reads once, and hands over what came. If it is not the `first` read of the
    /// turn there may be no more to read, which is cheaper to ask than to find out.
    pub(super) fn fill(&mut self, first: bool, turn: &mut Turn<'_>, cx: &mut Context<'_>) -> Step {
        match self.life.phase() {
            Phase::Open | Phase::Closing => {}
            Phase::Lingering => return self.discard(turn, cx),
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
            let stash = std::mem::take(&mut awake.unparsed);
            turn.with_chunk(|chunk| *chunk = stash);
            self.parse(0, turn, cx);
            // What is still not taken stays where it is.
            let rest = turn.with_chunk(std::mem::take);
            if let Some(awake) = self.awake.as_mut().filter(|_| !rest.is_empty()) {
                awake.unparsed = rest;
            }
            return Step::Again;
        }
        if !first
            && self
                .stream
                .as_ref()
                .is_some_and(|s| s.poll_more(cx).is_pending())
        {
            return Step::Wait;
        }
        match self.read(turn, cx) {
            Poll::Pending => return Step::Wait,
            Poll::Ready(Ok(0)) => self.life.lost(None, self.close_deadline()),
            Poll::Ready(Ok(n)) => {
                self.parse(n, turn, cx);
                // The chunk is the thread's.
                let rest = |chunk: &mut Chunk| (!chunk.is_empty()).then(|| chunk.copied());
                if let Some(rest) = turn.with_chunk(rest) {
                    self.awake().unparsed = rest;
                }
            }
            Poll::Ready(Err(error)) => self.lost(error),
        }
        Step::Again
    }

    /// May the next message be taken from the peer: by the consumer if it is
    /// free, else to be read ahead?
    #[inline(always)]
    pub(super) fn may_take(&self) -> bool {
        if self.handle.state() != State::Open && !C::HEARS_AFTER_CLOSE {
            return true;
        }
        let (ahead, failed) = match &self.awake {
            Some(awake) => (awake.ahead_bytes, awake.failure.is_some()),
            None => (0, false),
        };
        let room = match self.consumer {
            Listening::Idle(_) | Listening::Hearing => ahead == 0 && !failed,
            Listening::Running(..) => ahead < READ_AHEAD,
            Listening::Gone => false,
        };
        room && self.has_room()
    }

    /// One read: into the message under way if it is a large one, else behind
    /// what was left over, into the thread's chunk.
    fn read(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        if let Some((buffer, room)) = self.reader.direct() {
            let n = ready!(stream.poll_read_buf(&mut buffer.limit(room), cx))?;
            if n > 0
                && let Err(violation) = self.reader.direct_filled(n)
            {
                self.violated(violation);
            }
            turn.with_chunk(Chunk::clear);
            return Poll::Ready(Ok(n));
        }
        let mut room = CHUNK;
        let mut unparsed = None;
        if let Some(awake) = &mut self.awake {
            if matches!(self.consumer, Listening::Running(..)) {
                room = READ_AHEAD.saturating_sub(awake.ahead_bytes).max(1);
            }
            unparsed = Some(&mut awake.unparsed);
        }
        turn.with_chunk(|chunk| {
            chunk.renew();
            if let Some(unparsed) = &unparsed {
                chunk.buffer().extend_from_slice(unparsed.as_slice());
            }
            let n = ready!(stream.poll_read_buf(&mut chunk.buffer().limit(room), cx))?;
            if let Some(unparsed) = unparsed {
                *unparsed = Chunk::default();
            }
            Poll::Ready(Ok(n))
        })
    }

    /// Takes what lies in the thread's chunk, of which `n` bytes have just come. What
    /// it leaves there is to be kept.
    fn parse(&mut self, n: usize, turn: &mut Turn<'_>, cx: &mut Context<'_>) {
        let limit = self.handle.hub().limits.max_message;
        let heads = self.reader.heads();
        let mut items = 0;
        let mut hearing = Hearing::none();
        // The first may be taken: else nothing would have been read.
        loop {
            let reader = &mut self.reader;
            let (next, mut last) =
                turn.with_chunk(|chunk| (reader.next(chunk, limit), chunk.is_empty()));
            match next {
                Ok(Item::More) => break,
                Ok(item) => {
                    items += 1;
                    self.take(
                        item,
                        last,
                        &mut hearing,
                        |c| c.messages(Inbox::new()),
                        turn,
                        cx,
                    );
                    turn.spend();
                }
                Err(violation) => self.violated(violation),
            }
            if !matches!(self.life.phase(), Phase::Open | Phase::Closing) {
                // Nothing that comes after the end is heard.
                turn.with_chunk(Chunk::clear);
                last = true;
            }
            if last {
                break;
            }
            if turn.is_spent() || !self.may_take() {
                self.awake().stashed = true;
                break;
            }
        }
        self.end_hearing(&mut hearing, turn, cx);
        if n > 0 {
            self.heard(n);
        }
        let fresh = items > 0 || heads != self.reader.heads();
        let left = turn.with_chunk(|chunk| !chunk.is_empty());
        self.time_frame(n, fresh, left);
    }

    /// Takes an item, after which nothing else was read if it is the `last`.
    #[inline]
    fn take<F>(
        &mut self,
        item: Item,
        last: bool,
        hearing: &mut Hearing<F>,
        begin: impl FnOnce(C) -> F,
        turn: &Turn<'_>,
        cx: &mut Context<'_>,
    ) where
        F: Future<Output = Turned<C>> + Send + 'static,
    {
        let last = last || C::RATIONS;
        match item {
            Item::Small { text, payload } if self.may_hear() => {
                turn.put_small(text, payload, last);
            }
            Item::Large { text, payload } if self.may_hear() => {
                turn.put(Message::new(text, payload), last);
            }
            item => {
                self.end_hearing(hearing, turn, cx);
                return self.take_unheard(item, turn);
            }
        }
        self.hear(hearing, begin, turn, cx);
    }

    /// Is the consumer free to hear the next message?
    #[inline]
    fn may_hear(&self) -> bool {
        let free = matches!(self.consumer, Listening::Idle(_) | Listening::Hearing);
        free && (self.handle.state() == State::Open || C::HEARS_AFTER_CLOSE)
    }

    /// Takes what the consumer does not hear, or not now.
    fn take_unheard(&mut self, item: Item, turn: &Turn<'_>) {
        let copied = |part: Part| turn.with_chunk(|chunk| Bytes::copy_from_slice(part.of(chunk)));
        match item {
            Item::Small { text, payload } => self.keep(Message::new(text, copied(payload))),
            Item::Large { text, payload } => {
                let message = Message::new(text, payload);
                self.keep(message.detached_below(CHUNK / 2));
            }
            Item::Ping(payload) => {
                let payload = copied(payload);
                let seen_to = match &mut self.consumer {
                    Listening::Idle(consumer) => consumer.ping(&payload),
                    _ => false,
                };
                if !seen_to {
                    self.handle.answer_ping(&payload);
                }
            }
            Item::Pong(payload) => {
                if let Listening::Idle(consumer) = &mut self.consumer {
                    consumer.pong(&copied(payload));
                }
            }
            Item::More => {}
            Item::Close(payload) => {
                self.notice_close();
                match close::parse(&copied(payload)) {
                    Ok(close) => self.life.closed_by_peer(close, self.close_deadline()),
                    Err(violation) => self.violated(violation),
                }
            }
        }
    }

    /// Keeps a message until the consumer is free, unless ours was the last word.
    fn keep(&mut self, message: Message) {
        if self.handle.state() == State::Open {
            let awake = self.awake();
            awake.ahead_bytes += charge(&message);
            awake.ahead.push_back(message);
        }
    }

    pub(super) fn violated(&mut self, violation: Error) {
        self.notice_close();
        self.life.violated(violation, self.close_deadline());
    }

    /// Reads what nobody will hear, until the peer has read our Close and ends.
    fn discard(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) -> Step {
        let Some(stream) = &mut self.stream else {
            self.life.gone();
            return Step::Again;
        };
        let polled = turn.with_chunk(|chunk| {
            chunk.renew();
            stream.poll_read_buf(chunk.buffer(), cx)
        });
        match polled {
            Poll::Pending => Step::Wait,
            Poll::Ready(Ok(n)) if n > 0 => Step::Again,
            Poll::Ready(_) => {
                self.drop_stream();
                self.life.gone();
                Step::Again
            }
        }
    }
}

/// Bytes read while the consumer is busy; then the peer waits.
pub(in crate::connection) const READ_AHEAD: usize = 64 * 1024;
