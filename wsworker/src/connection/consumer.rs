//! Who hears a connection's events, and how one event is run: polled in place,
//! in an allocation that the thread reuses, kept only while it is suspended.
//! Does not know which events come or what follows from them.

use std::any::Any;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::error::{Error, Result};
use crate::protocol::close::CloseEvent;
use crate::protocol::message::Message;

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
    /// Hears a message. Apart from the others, as it is the one that must be cheap.
    fn message(self, message: Message) -> impl Future<Output = Turned<Self>> + Send + 'static;

    /// Hears anything else.
    fn event(self, event: Event) -> impl Future<Output = Turned<Self>> + Send + 'static;
}

/// The consumer, and whether its turn went well.
pub(crate) type Turned<C> = (C, Result<()>);

/// A turn that waits for something.
pub(super) type Suspended<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Polls a new turn once. Takes what makes it, since a turn that is handed on
/// is moved once more.
#[inline]
pub(super) fn start<F>(
    turn: impl FnOnce() -> F,
    cx: &mut Context<'_>,
) -> Result<F::Output, Suspended<F::Output>>
where
    F: Future + Send + 'static,
{
    let mut place = spare::<F>().unwrap_or_else(|| Box::pin(Place { turn: None }));
    place.as_mut().project().turn.set(Some(turn()));
    match place.as_mut().poll(cx) {
        Poll::Ready(output) => {
            keep(place);
            Ok(output)
        }
        Poll::Pending => Err(place),
    }
}

pin_project! {
    struct Place<F> {
        #[pin]
        turn: Option<F>,
    }
}

impl<F: Future> Future for Place<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut turn = self.project().turn;
        let running = turn
            .as_mut()
            .as_pin_mut()
            .expect("not polled after it ended");
        let output = ready!(running.poll(cx));
        turn.set(None);
        Poll::Ready(output)
    }
}

/// A place for one kind of turn, kept between turns.
type Kept<F> = Option<Pin<Box<Place<F>>>>;

#[inline]
fn spare<F: 'static>() -> Kept<F> {
    SPARE.with_borrow_mut(|any| any.as_mut()?.downcast_mut::<Kept<F>>()?.take())
}

#[inline]
fn keep<F: 'static>(place: Pin<Box<Place<F>>>) {
    SPARE.with_borrow_mut(|any| {
        match any.as_mut().and_then(|any| any.downcast_mut::<Kept<F>>()) {
            Some(kept) => *kept = Some(place),
            // Another kind of worker had the last turn on this thread.
            None => *any = Some(Box::new(Some(place))),
        }
    });
}

thread_local! {
    static SPARE: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}
