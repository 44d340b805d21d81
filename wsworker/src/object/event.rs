//! The event that runs: what it has written and done so far, to be found by whatever
//! it calls on its thread.
//! Does not run anybody's code; `cell` does.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::core::Core;
use super::effects::Effects;
use super::member::Member;
use crate::error::{Error, Result};
use crate::guard::guarded_drop;
use crate::protocol::message::Message;
use crate::storage::Batch;

/// An event of one object. In a box, as it goes from hand to hand.
#[derive(Default)]
pub(super) struct Event {
    /// Whose; `None` while it is spare.
    core: Option<Arc<Core>>,
    pub(super) done: Done,
}

/// What an event has done so far.
#[derive(Default)]
pub(super) struct Done {
    pub(super) batch: Batch,
    /// Its SQL has perhaps written, too.
    pub(super) sql: bool,
    pub(super) effects: Effects,
    /// It is to fail, whatever its handler returns.
    pub(super) aborted: Option<Error>,
}

impl Event {
    pub(super) fn of(core: &Arc<Core>) -> Box<Self> {
        let mut event = SPARE.take().unwrap_or_default();
        event.core = Some(core.clone());
        event
    }

    /// It is over, and nothing is left of what it has done: its memory serves the next.
    pub(super) fn spare(mut self: Box<Self>) {
        if self.done.effects.is_small() {
            (self.core, self.done.effects.source) = (None, None);
            SPARE.set(Some(self));
        }
    }

    fn core(&self) -> &Arc<Core> {
        self.core
            .as_ref()
            .expect("it is an object's until it is spare")
    }

    /// Sends to its source what may leave with the turn that this one has, if the event goes
    /// on as it began. `None` if it is to be held.
    #[inline]
    pub(super) fn send_own(&mut self, to: &Member, message: &Message) -> Option<Result<()>> {
        match self.done.batch.is_empty() && self.core().lets_through() {
            true => self.done.effects.send_own(to, message),
            false => None,
        }
    }

    /// It has no end.
    fn cancel(mut self) {
        let cancelled = || Error::undone("its event was cancelled");
        let core = self.core().clone();
        self.done.effects.undo(&core, cancelled);
        core.spoil();
    }

    /// The event of this object that runs on this thread.
    #[inline]
    pub(super) fn current<R>(core: *const Core, look: impl FnOnce(Option<&mut Self>) -> R) -> R {
        CURRENT.with_borrow_mut(|current| {
            let own = current.as_deref_mut();
            look(own.filter(|event| std::ptr::eq(&**event.core(), core)))
        })
    }

    /// What leaves this process in the middle of an event first waits for the commits
    /// of the object's earlier events.
    ///
    /// # Errors
    /// One of them failed.
    pub(super) async fn settle(core: &Core) -> Result<()> {
        core.gate.settle().await;
        match core.gate.has_failed() {
            false => Ok(()),
            true => Err(Error::undone("a commit that it builds on failed")),
        }
    }

    /// The object whose event runs on this thread.
    pub(super) fn running() -> Option<Arc<Core>> {
        CURRENT.with_borrow(|current| current.as_ref().map(|event| event.core().clone()))
    }

    /// As `current`, where there has to be one.
    pub(super) fn inside<R>(core: &Core, change: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        Self::current(core, |event| match event {
            Some(event) => change(event),
            None => Err(Error::new(OUTSIDE)),
        })
    }
}

/// In an object's event: waits until what its earlier events did is durable.
///
/// # Errors
/// It never will be.
#[cfg(feature = "client")]
pub(crate) async fn settle_running() -> Result<()> {
    match Event::running() {
        Some(core) => Event::settle(&core).await,
        None => Ok(()),
    }
}

pin_project! {
    /// An event with the code that it runs. Dropped before its end, it is undone.
    pub(super) struct Running<F> {
        // None once it is over.
        event: Option<Box<Event>>,
        // None while it is dropped.
        #[pin]
        code: Option<F>,
    }

    impl<F> PinnedDrop for Running<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.event.is_some() {
                // Within the event still: what it does as it is dropped is undone too.
                during(this.event, || guarded_drop(|| this.code.set(None)));
            }
            if let Some(event) = this.event.take() {
                event.cancel();
            }
        }
    }
}

impl<F: Future> Running<F> {
    pub(super) fn new(event: Box<Event>, code: F) -> Self {
        let (event, code) = (Some(event), Some(code));
        Self { event, code }
    }
}

impl<F: Future> Future for Running<F> {
    type Output = (F::Output, Box<Event>);

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let code = this.code.as_pin_mut().expect("it is there until the drop");
        let Poll::Ready(output) = during(this.event, || code.poll(cx)) else {
            if let Some(event) = this.event {
                event.done.effects.hold_own();
            }
            return Poll::Pending;
        };
        let event = this.event.take().expect("not polled after its end");
        Poll::Ready((output, event))
    }
}

/// Whatever asks for the event that runs is given this one.
#[inline]
fn during<R>(event: &mut Option<Box<Event>>, run: impl FnOnce() -> R) -> R {
    let outer = CURRENT.replace(event.take());
    let result = run();
    *event = CURRENT.replace(outer);
    result
}

thread_local! {
    static CURRENT: RefCell<Option<Box<Event>>> = const { RefCell::new(None) };
    /// Memory for the next event of this thread.
    static SPARE: Cell<Option<Box<Event>>> = const { Cell::new(None) };
}

const OUTSIDE: &str =
    "an object's state can be changed only inside one of its events: call it by its stub";
