//! Events to the consumer, one at a time, and what follows from their outcome.
//! Does not read or write the stream.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use super::{Connection, Listening, Outcome};
use crate::connection::consumer::{Consumer, Event, Heard, Hearing, Turned};
use crate::connection::handle::State;
use crate::connection::life::Phase;
use crate::connection::turn::{Inbox, Turn};
use crate::error::Error;
use crate::log;
use crate::protocol::message::Message;

impl<C: Consumer> Connection<C> {
    /// Lets a suspended turn go on.
    #[inline(always)]
    pub(super) fn resume(&mut self, cx: &mut Context<'_>) {
        if let Listening::Running(turn, outcome) = &mut self.consumer {
            let outcome = *outcome;
            let span = self.handle.enter_span();
            let polled = turn.as_mut().poll(cx);
            drop(span);
            if let Poll::Ready(turned) = polled {
                self.turned(turned, outcome);
            }
        }
    }

    /// Hands over what was read ahead, then the end. Gives whether it stopped
    /// because too much waits to be sent.
    #[inline]
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>, cx: &mut Context<'_>) -> bool {
        self.notice_close();
        let calm = self.awake.is_none() && self.life.phase() == Phase::Open;
        !calm && self.pump_ahead(turn, cx)
    }

    fn pump_ahead(&mut self, turn: &mut Turn<'_>, cx: &mut Context<'_>) -> bool {
        loop {
            let phase = self.life.phase();
            if matches!(phase, Phase::Flushing | Phase::Lingering | Phase::Gone) {
                self.seal();
            }
            if !matches!(self.consumer, Listening::Idle(_)) {
                return false;
            }
            if let Some(failure) = self.awake.as_mut().and_then(|a| a.failure.take()) {
                self.deliver(Event::Error(failure), Outcome::IsLogged, cx);
                continue;
            }
            let lost = phase == Phase::Ending && self.stream.is_none();
            if self.handle.state() != State::Open && !lost && !C::HEARS_AFTER_CLOSE {
                // After a Close of ours nothing is delivered, as in a browser. What
                // came before the peer was lost is.
                self.drop_ahead();
            }
            if self.awake.as_ref().is_some_and(|a| !a.ahead.is_empty()) {
                if !self.has_room() {
                    return true;
                }
                if turn.is_spent() {
                    return false;
                }
                if let Some(message) = self.take_ahead() {
                    let mut hearing = Hearing::none();
                    turn.put(message, true);
                    self.hear(&mut hearing, |c| c.messages(Inbox::new()), turn, cx);
                    self.notice_close();
                    turn.spend();
                }
                continue;
            }
            if matches!(phase, Phase::Open | Phase::Closing) {
                return false;
            }
            if let Some(error) = self.life.take_error() {
                self.deliver(Event::Error(error), Outcome::IsLogged, cx);
            } else if phase == Phase::Ending {
                if self.poll_heard(cx).is_pending() {
                    return false;
                }
                self.reply();
            } else if let Some(close) = self.life.take_close() {
                self.deliver(Event::Close(close), Outcome::IsLast, cx);
            } else {
                return false;
            }
        }
    }

    /// Hands the message that lies in the inbox to the consumer, in the turn of
    /// `hearing`.
    #[inline]
    pub(super) fn hear<F>(
        &mut self,
        hearing: &mut Hearing<F>,
        begin: impl FnOnce(C) -> F,
        turn: &Turn<'_>,
        cx: &mut Context<'_>,
    ) where
        F: Future<Output = Turned<C>> + Send + 'static,
    {
        if hearing.is_none() {
            let consumer = self.idle_consumer();
            hearing.begin(turn, || begin(consumer));
        }
        let span = self.handle.enter_span();
        let heard = hearing.hear(turn, cx);
        drop(span);
        self.heard_by_consumer(heard);
    }

    /// Ends the turn of `hearing`, if there is one.
    #[inline]
    pub(super) fn end_hearing<F>(
        &mut self,
        hearing: &mut Hearing<F>,
        turn: &Turn<'_>,
        cx: &mut Context<'_>,
    ) where
        F: Future<Output = Turned<C>> + Send + 'static,
    {
        if !hearing.is_none() {
            let heard = hearing.end(turn, cx);
            self.heard_by_consumer(heard);
        }
    }

    #[inline(always)]
    fn heard_by_consumer<F>(&mut self, heard: Heard<F>)
    where
        F: Future<Output = Turned<C>>,
    {
        match heard {
            Heard::Handled => {}
            Heard::Over(turned) => self.turned(turned, Outcome::Counts),
            Heard::Suspended(turn) => self.consumer = Listening::Running(turn, Outcome::Counts),
        }
    }

    pub(super) fn deliver(&mut self, event: Event, outcome: Outcome, cx: &mut Context<'_>) {
        let turn = Box::pin(self.idle_consumer().event(event));
        self.consumer = Listening::Running(turn, outcome);
        self.resume(cx);
    }

    /// May the consumer be told the next message? One with a say is idle when asked.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        match &self.consumer {
            Listening::Idle(consumer) => consumer.has_room(&self.handle),
            _ => !self.handle.holds_up_peer(),
        }
    }

    /// May the last Close be sent? A peer that is gone gets none.
    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Listening::Idle(consumer) = &mut self.consumer else {
            return Poll::Ready(());
        };
        if !self.life.has_parted()
            && self.handle.state() == State::Open
            && let Some((close, due)) = self.life.last()
            && let Some(answer) = ready!(consumer.poll_heard(close, due, cx))
        {
            self.life.answer_with(answer);
        }
        Poll::Ready(())
    }

    /// Takes the consumer, which is idle, for its next turn.
    #[inline]
    fn idle_consumer(&mut self) -> C {
        match std::mem::replace(&mut self.consumer, Listening::Hearing) {
            Listening::Idle(consumer) => consumer,
            _ => unreachable!("only an idle consumer is told something"),
        }
    }

    #[inline]
    fn turned(&mut self, (consumer, result): Turned<C>, outcome: Outcome) {
        self.consumer = match outcome {
            Outcome::IsLast => Listening::Gone,
            _ => Listening::Idle(consumer),
        };
        if let Err(error) = result
            && !self.is_no_failure(&error)
        {
            self.failed(error, outcome);
        }
    }

    /// That the peer went away while it was being answered is nobody's fault.
    #[cold]
    fn is_no_failure(&self, error: &Error) -> bool {
        let over = !matches!(self.life.phase(), Phase::Open | Phase::Closing);
        over && error.is_closed()
    }

    #[cold]
    fn failed(&mut self, error: Error, outcome: Outcome) {
        if !matches!(outcome, Outcome::Counts) {
            let id = self.handle.id();
            log::error(&format!(
                "a callback failed while connection {id} ended: {error}"
            ));
            return;
        }
        let outlived = match &self.consumer {
            Listening::Idle(consumer) => consumer.outlives(&error),
            _ => false,
        };
        if !outlived {
            self.drop_ahead();
            self.notice_close();
            self.life.failed(self.close_deadline());
        }
        self.awake().failure = Some(error);
    }

    fn take_ahead(&mut self) -> Option<Message> {
        let awake = self.awake.as_mut()?;
        let message = awake.ahead.pop_front()?;
        awake.ahead_bytes -= charge(&message);
        Some(message)
    }

    pub(super) fn drop_ahead(&mut self) {
        if let Some(awake) = &mut self.awake {
            awake.ahead = VecDeque::new();
            awake.ahead_bytes = 0;
        }
    }

    /// A Close was sent through the handle, by whomever.
    pub(super) fn notice_close(&mut self) {
        if self.life.phase() == Phase::Open && self.handle.state() != State::Open {
            self.life.closed_here(self.close_deadline());
        }
    }

    /// The messages before the end were handled, or waited for long enough.
    pub(super) fn reply(&mut self) {
        match self.life.take_reply(self.close_deadline()) {
            Some(reply) => self.handle.answer(&reply),
            None => self.seal(),
        }
    }

    pub(super) fn seal(&self) {
        if self.handle.state() != State::Closed {
            self.handle.set_closed();
        }
    }

    /// The stream failed or ended.
    pub(super) fn lost(&mut self, error: io::Error) {
        self.drop_stream();
        self.seal();
        let deadline = self.close_deadline();
        match self.life.phase() {
            Phase::Flushing | Phase::Lingering | Phase::Gone => self.life.gone(),
            _ if is_drop(&error) => self.life.lost(None, deadline),
            _ => {
                let error = Error::io("the connection failed", error);
                self.life.lost(Some(error), deadline);
            }
        }
    }

    pub(super) fn close_deadline(&self) -> u32 {
        let hub = self.handle.hub();
        hub.now() + hub.times.close
    }
}

/// What a message that was read ahead costs.
pub(in crate::connection) fn charge(message: &Message) -> usize {
    message.len() + size_of::<Message>()
}

/// A peer that went away, in one of the ways of TCP.
fn is_drop(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof
    )
}
