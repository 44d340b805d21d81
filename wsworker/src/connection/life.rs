//! How a connection ends: the closing handshake as a state machine (RFC 6455 §7).
//! Does no I/O and reads no clock: takes what happened, says what is next.

use crate::error::Error;
use crate::protocol::close::{CloseCode, CloseEvent, ClosePayload};

/// One connection's way from open to gone.
pub(super) struct Life {
    phase: Phase,
    /// The tick at which the phase is over whatever happens; none while open.
    deadline: u32,
    end: Option<Box<End>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Messages go both ways.
    Open,
    /// This side sent a Close; the peer's is awaited, its messages are dropped.
    Closing,
    /// It is known how this ends; the messages that came before are still handled.
    Ending,
    /// The last frame is queued; what waits is still written.
    Flushing,
    /// All is written. The peer is given time to read it: a socket that is closed
    /// with bytes unread would reset the connection and lose our Close.
    Lingering,
    /// The stream is closed.
    Gone,
}

/// What is said when a connection ends.
#[derive(Default)]
struct End {
    /// For the consumer, first.
    error: Option<Error>,
    /// For the peer, then; unless a Close was sent already.
    reply: Option<ClosePayload>,
    /// For the consumer, last.
    close: Option<CloseEvent>,
    /// The peer may still be sending.
    linger: bool,
    /// The peer will neither send nor answer.
    parted: bool,
    /// The peer's Close came.
    clean: bool,
}

impl Life {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            deadline: 0,
            end: None,
        }
    }

    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When the phase is over; only asked of phases after `Open`.
    pub(super) fn deadline(&self) -> u32 {
        self.deadline
    }

    /// This side sent a Close.
    pub(super) fn closed_here(&mut self, deadline: u32) {
        if self.phase == Phase::Open {
            self.enter(Phase::Closing, deadline);
        }
    }

    /// The peer's Close came.
    pub(super) fn closed_by_peer(&mut self, close: CloseEvent, deadline: u32) {
        let reply = Some(ClosePayload::echo(&close));
        self.decide(End {
            reply,
            close: Some(close),
            clean: true,
            ..End::default()
        });
        self.end_after_messages(deadline);
    }

    /// The peer broke the protocol, or a limit.
    pub(super) fn violated(&mut self, error: Error, deadline: u32) {
        let code = error
            .close_code()
            .unwrap_or(CloseCode::PROTOCOL_ERROR.get());
        let code = CloseCode::try_from(code).unwrap_or(CloseCode::PROTOCOL_ERROR);
        let reason = error.message().to_owned();
        self.decide(End {
            reply: Some(ClosePayload::cut(code, &reason)),
            close: Some(CloseEvent {
                code: code.get(),
                reason,
                was_clean: false,
            }),
            error: Some(error),
            linger: true,
            ..End::default()
        });
        self.end_after_messages(deadline);
    }

    /// The peer is gone without a Close; with an error if it is more than that.
    pub(super) fn lost(&mut self, error: Option<Error>, deadline: u32) {
        self.decide(End {
            error,
            close: Some(CloseEvent::dropped()),
            parted: true,
            ..End::default()
        });
        self.end_after_messages(deadline);
    }

    /// The consumer failed, and has been told so: the peer gets a 1011 unless a
    /// Close was sent before.
    pub(super) fn failed(&mut self, deadline: u32) {
        let code = CloseCode::INTERNAL_ERROR;
        let reply = Some(ClosePayload::cut(code, ""));
        match (self.phase, &mut self.end) {
            // The peer's Close came first and is what `on_close` hears; the answer changes.
            (Phase::Ending, Some(end)) if end.reply.is_some() => end.reply = reply,
            (Phase::Open, _) => {
                self.decide(End {
                    reply,
                    close: Some(CloseEvent {
                        code: code.get(),
                        reason: String::new(),
                        was_clean: false,
                    }),
                    linger: true,
                    ..End::default()
                });
                self.enter(Phase::Ending, deadline);
            }
            _ => {}
        }
    }

    /// What the consumer will hear of the end, and what the peer, until they have.
    pub(super) fn last(&self) -> Option<(&CloseEvent, &ClosePayload)> {
        let End { close, reply, .. } = &**self.end.as_ref()?;
        Some((close.as_ref()?, reply.as_ref()?))
    }

    /// Changes what answers the peer's Close.
    pub(super) fn answer_with(&mut self, reply: ClosePayload) {
        if let Some(end) = &mut self.end {
            end.reply = Some(reply);
        }
    }

    /// The messages before the end were handled: takes the error that the consumer hears.
    pub(super) fn take_error(&mut self) -> Option<Error> {
        match self.phase {
            Phase::Open | Phase::Closing => None,
            _ => self.end.as_mut()?.error.take(),
        }
    }

    /// Goes on to the last frame, and takes it.
    pub(super) fn take_reply(&mut self, deadline: u32) -> Option<ClosePayload> {
        self.enter(Phase::Flushing, deadline);
        self.end.as_mut()?.reply.take()
    }

    /// Takes the close event, once the last frame is queued.
    pub(super) fn take_close(&mut self) -> Option<CloseEvent> {
        match self.phase {
            Phase::Flushing | Phase::Lingering | Phase::Gone => self.end.as_mut()?.close.take(),
            _ => None,
        }
    }

    /// Is there nobody to take leave of?
    pub(super) fn has_parted(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.parted)
    }

    /// Did the peer's Close come?
    pub(super) fn is_clean(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.clean)
    }

    /// Everything was written, and whatever this side has to shut is shut.
    pub(super) fn flushed(&mut self, linger: bool) {
        let linger = linger || self.end.as_ref().is_some_and(|end| end.linger);
        self.phase = if linger {
            Phase::Lingering
        } else {
            Phase::Gone
        };
    }

    /// The stream cannot be used any more.
    pub(super) fn gone(&mut self) {
        self.decide(End {
            close: Some(CloseEvent::dropped()),
            ..End::default()
        });
        self.phase = Phase::Gone;
    }

    /// The first cause stands.
    fn decide(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(Box::new(end));
        }
    }

    fn end_after_messages(&mut self, deadline: u32) {
        match self.phase {
            Phase::Open => self.enter(Phase::Ending, deadline),
            // Our Close went out, and after it nothing is delivered or sent.
            Phase::Closing => {
                if let Some(end) = &mut self.end {
                    end.reply = None;
                }
                self.enter(Phase::Flushing, deadline);
            }
            _ => {}
        }
    }

    fn enter(&mut self, phase: Phase, deadline: u32) {
        self.phase = phase;
        self.deadline = deadline;
    }
}
