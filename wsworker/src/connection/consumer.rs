//! Who hears a connection's events, and how one event is run: polled in place,
//! in an allocation that the thread reuses, kept only while it is suspended.
//! Does not know which events come or what follows from them.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::handle::Handle;
use super::turn::{Inbox, Turn};
use crate::error::{Error, Result};
use crate::protocol::close::{CloseEvent, ClosePayload};

/// What happens on a connection besides its messages: `Open` before them,
/// `Close` last.
pub(crate) enum Event {
    Open,
    Error(Error),
    Close(CloseEvent),
}

/// Hears one thing at a time: the connection waits for the turn to end. A turn
/// gives the consumer back, whatever happens: it catches its own panics.
pub(crate) trait Consumer: Sized + Send + 'static {
    /// Has it a say in how much is read? Then a turn brings one message, and it is
    /// asked before each.
    const RATIONS: bool = false;

    /// Is it told what the peer sends after a Close of this side's, up to the
    /// peer's own?
    const HEARS_AFTER_CLOSE: bool = false;

    /// Do others of its thread often send what it gets? Then they may write it there
    /// and then, for a few bytes more for each connection.
    const SHARES_STREAM: bool = false;

    /// Does it say itself that the server goes away, in [`leave`](Self::leave), as it
    /// knows of more to be sent before?
    const TAKES_LEAVE: bool = false;

    /// Hears messages until the inbox has no more, or one of them fails. One turn
    /// for several, as a turn costs more than handing over a message.
    fn messages(self, inbox: Inbox) -> impl Future<Output = Turned<Self>> + Send + 'static;

    /// Hears anything else.
    fn event(self, event: Event) -> impl Future<Output = Turned<Self>> + Send + 'static;

    /// Does the connection go on after this failure of a turn? Then the consumer hears
    /// of it before the next message.
    fn outlives(&self, failure: &Error) -> bool {
        let _ = failure;
        false
    }

    /// The server goes away: it is to close the connection. Asked in no turn.
    fn leave(&self, closing: &ClosePayload) {
        let _ = closing;
    }

    /// May the next message be taken from the peer? While too much waits to be
    /// sent to a client it stays there, unless the consumer knows better. One that
    /// says no for a reason of its own wakes the connection when that is over.
    #[inline]
    fn has_room(&self, handle: &Handle) -> bool {
        !handle.holds_up_peer()
    }

    /// What a ping of our own carries, which asks a silent peer for a sign of life.
    fn own_ping(&self) -> &[u8] {
        &[]
    }

    /// The peer pinged. Gives whether that was seen to; else it is answered.
    fn ping(&mut self, payload: &[u8]) -> bool {
        let _ = payload;
        false
    }

    /// The peer's pong to some ping.
    fn pong(&mut self, payload: &[u8]) {
        let _ = payload;
    }

    /// The peer's Close was read, or its violation found, and every message before
    /// it was told. Ready when the last Close may be sent: this, or `due`.
    fn poll_heard(
        &mut self,
        close: &CloseEvent,
        due: &ClosePayload,
        cx: &mut Context<'_>,
    ) -> Poll<Option<ClosePayload>> {
        let _ = (close, due, cx);
        Poll::Ready(None)
    }
}

/// The consumer, and whether its turn went well.
pub(crate) type Turned<C> = (C, Result<()>);

/// A turn that waits for something.
pub(super) type Suspended<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A turn that hears messages as they are read: in an allocation that the thread
/// reuses, and that is given up only to a turn that has to wait.
pub(super) struct Hearing<F: Future>(Option<Place<F>>);

/// How the handing over of a message ended.
pub(super) enum Heard<F: Future> {
    /// It is handled; the turn waits for the next.
    Handled,
    /// The turn is over, as it was the last, or the consumer failed.
    Over(F::Output),
    /// The consumer waits for something else.
    Suspended(Suspended<F::Output>),
}

impl<F: Future + Send + 'static> Hearing<F> {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Begins the turn that `begin` makes.
    #[inline]
    pub(super) fn begin(&mut self, turn: &Turn<'_>, begin: impl FnOnce() -> F) {
        self.0 = Some(place(turn, begin));
    }

    /// Hands over the message that lies in the inbox.
    #[inline(always)]
    pub(super) fn hear(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) -> Heard<F> {
        let place = self.0.as_mut().expect("a turn has begun");
        match place.as_mut().as_mut().poll(cx) {
            Poll::Pending if turn.asks() => Heard::Handled,
            Poll::Pending => self.suspend(turn),
            Poll::Ready(output) => self.over(turn, output),
        }
    }

    /// Ends the turn, if there is one.
    pub(super) fn end(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) -> Heard<F> {
        let Some(place) = &mut self.0 else {
            return Heard::Handled;
        };
        turn.end_messages();
        match place.as_mut().as_mut().poll(cx) {
            Poll::Pending => self.suspend(turn),
            Poll::Ready(output) => self.over(turn, output),
        }
    }

    #[inline]
    fn over(&mut self, turn: &Turn<'_>, output: F::Output) -> Heard<F> {
        turn.end_messages();
        if let Some(place) = self.0.take() {
            turn.keep(place);
        }
        Heard::Over(output)
    }

    #[cold]
    fn suspend(&mut self, turn: &Turn<'_>) -> Heard<F> {
        turn.end_messages();
        let place = self.0.take().expect("it was just polled");
        Heard::Suspended(*place)
    }
}

/// Where one kind of turn is run, one after the other. One that is over stays there
/// until the next: it holds nothing any more.
type Place<F> = Box<Pin<Box<F>>>;

/// A place with a new turn in it. Takes what makes it, since a turn that is
/// handed on is moved once more.
#[inline]
fn place<F: Future + 'static>(turn: &Turn<'_>, begin: impl FnOnce() -> F) -> Place<F> {
    match turn.kept::<Pin<Box<F>>>() {
        Some(mut place) => {
            place.set(begin());
            place
        }
        None => Box::new(Box::pin(begin())),
    }
}
