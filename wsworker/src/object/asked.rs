//! A call on its way: in its caller's hands, or as a task of its own.
//! Does not run the event that it becomes; `cell` does.

use std::cell::Cell as Count;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span};

use super::cell::{Cell, Ended};
use super::class::DurableObject;
use super::jobs::{Held, Job};
use super::waits::Waiting;
use crate::error::{Error, Result};

/// Has the job run as an event. `waiting`: what its caller's event has said of it.
pub(super) fn asked<T: DurableObject, J: Job<T> + 'static>(
    cell: Arc<Cell<T>>,
    job: J,
    waiting: Weak<Waiting>,
) -> impl Future<Output = Result<Ended<Output<T, J>>>> + Send {
    let begun = Arc::<Begun>::default();
    Asked::new(run(cell, job, begun.clone(), Ending(waiting)), begun)
}

/// Runs a job as an event, unless whoever asks for it has gone before its turn comes.
async fn run<T: DurableObject, J: Job<T>>(
    cell: Arc<Cell<T>>,
    job: J,
    begun: Arc<Begun>,
    _ending: Ending,
) -> Result<Ended<Output<T, J>>> {
    let mut turn = cell.turn_in_time().await?;
    if !begun.decide() {
        return Err(Error::undone("nobody waits for it"));
    }
    let mut job = Some(job);
    let event = cell.event_in(&mut turn, None, true, Held(&mut job));
    let (output, settled) = event.await?;
    Ok((Output(Some(output)), settled))
}

/// The end of an event that another one waits for: not only when that one looks, as it may do
/// other things first. The commit waits for nobody's event.
struct Ending(Weak<Waiting>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.upgrade() {
            waiting.end();
        }
    }
}

/// Whether an event has begun, or never will: the first who says so decides.
#[derive(Default)]
struct Begun(AtomicBool);

impl Begun {
    fn decide(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// What an event gave, until it is delivered.
pub(super) struct Output<T, J: Job<T>>(Option<J::Output>);

impl<T, J: Job<T>> Output<T, J> {
    pub(super) fn take(mut self) -> J::Output {
        self.0.take().expect("it is taken once")
    }
}

impl<T, J: Job<T>> Drop for Output<T, J> {
    fn drop(&mut self) {
        if let Some(output) = self.0.take() {
            J::undelivered(output);
        }
    }
}

/// A call on its way. If it does not end at once it goes on as a task of its own: it has or
/// gets the object's turn, and others must not wait for whoever asked to poll it. Dropped
/// before its event has begun, it never begins; dropped later, it ends all the same.
struct Asked<R> {
    here: Option<Called<R>>,
    away: Option<(oneshot::Receiver<Result<R>>, AbortHandle)>,
    begun: Arc<Begun>,
}

type Called<R> = Pin<Box<dyn Future<Output = Result<R>> + Send>>;

impl<R: Send + 'static> Asked<R> {
    fn new(call: impl Future<Output = Result<R>> + Send + 'static, begun: Arc<Begun>) -> Self {
        Self {
            here: Some(Box::pin(call)),
            away: None,
            begun,
        }
    }
}

impl<R: Send + 'static> Future for Asked<R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        if let Some(mut call) = self.here.take() {
            if Handle::try_current().is_err() {
                return Poll::Ready(Err(Error::new(NO_RUNTIME)));
            }
            if let Some(_nested) = Nested::enter()
                && let Poll::Ready(output) = call.as_mut().poll(cx)
            {
                return Poll::Ready(output);
            }
            let (answer, answered) = oneshot::channel();
            let going_on = async move {
                // Whoever asked may have gone.
                drop(answer.send(call.await));
            };
            let task = tokio::spawn(going_on.instrument(Span::current()));
            self.away = Some((answered, task.abort_handle()));
        }
        let (answered, _) = self.away.as_mut().expect("not polled after its end");
        let answer = ready!(Pin::new(answered).poll(cx));
        self.away = None;
        Poll::Ready(answer.unwrap_or_else(|_| Err(Error::undone("the object has ended"))))
    }
}

impl<R> Drop for Asked<R> {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.away
            && self.begun.decide()
        {
            task.abort();
        }
    }
}

/// A call that is polled within its caller's, and that one perhaps within another's: each is
/// deeper on the stack.
struct Nested;

impl Nested {
    fn enter() -> Option<Self> {
        NESTED.set(NESTED.get() + 1);
        let nested = Self;
        (NESTED.get() <= MOST).then_some(nested)
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        NESTED.set(NESTED.get() - 1);
    }
}

thread_local! {
    static NESTED: Count<u32> = const { Count::new(0) };
}

/// Calls within calls; the next is a task at once.
const MOST: u32 = 8;
const NO_RUNTIME: &str = "an object is called outside a tokio runtime";
