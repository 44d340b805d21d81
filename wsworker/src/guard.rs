//! A user's code, guarded: what panics becomes an error, and nothing vanishes.
//! Does not decide what follows from a failure.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::error::{Error, Result};
use crate::socket::WebSocket;

/// A worker or an object. A panic of its drop ends here: whatever lets go of it has
/// more to do, such as to write the last frame.
pub(crate) struct Kept<W>(Option<Box<W>>);

impl<W> Kept<W> {
    pub(crate) fn new(worker: W) -> Self {
        Self(Some(Box::new(worker)))
    }
}

impl<W> Deref for Kept<W> {
    type Target = W;

    #[inline]
    fn deref(&self) -> &W {
        self.0.as_deref().expect(KEPT)
    }
}

impl<W> DerefMut for Kept<W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut W {
        self.0.as_deref_mut().expect(KEPT)
    }
}

impl<W> Drop for Kept<W> {
    fn drop(&mut self) {
        let worker = self.0.take();
        guarded_drop(|| drop(worker));
    }
}

/// Drops what is a user's; a panic of that ends here.
pub(crate) fn guarded_drop(it: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(it)) {
        log("a drop failed", &panicked(&*panic));
    }
}

const KEPT: &str = "it is there until the drop";

/// Runs a worker's code; a panic becomes an error.
pub(crate) fn guarded<C, F>(code: C) -> Caught<C, F>
where
    C: FnOnce() -> F,
    F: Future,
{
    Caught::Called { code: Some(code) }
}

pin_project! {
    /// A worker's code, which gives a future: a panic in either is an error.
    #[project = CaughtProjected]
    pub(crate) enum Caught<C, F> {
        Called { code: Option<C> },
        Running { #[pin] running: F },
    }
}

impl<C, F> Future for Caught<C, F>
where
    C: FnOnce() -> F,
    F: Future,
{
    type Output = Result<F::Output>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // What the code broke is its own: nothing of ours is touched while it runs.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if let CaughtProjected::Called { code } = self.as_mut().project() {
                let code = code.take().expect("not polled after a panic");
                self.set(Caught::Running { running: code() });
            }
            match self.as_mut().project() {
                CaughtProjected::Running { running } => running.poll(cx),
                CaughtProjected::Called { .. } => unreachable!("it runs by now"),
            }
        }));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    }
}

#[cold]
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::panic(format!("panicked: {}", text.unwrap_or("no text")))
}

/// A worker's own failures must not vanish because nobody set up a log.
pub(crate) fn log(what: &str, error: &Error) {
    // Its text is a user's code too.
    let error = catch_unwind(AssertUnwindSafe(|| error.to_string()));
    let error = error.unwrap_or_else(|panic| format!("its text {}", panicked(&*panic)));
    if tracing::dispatcher::has_been_set() {
        tracing::error!(%error, "{what}");
    } else {
        eprintln!("wsworker: {what}: {error}");
    }
}

/// A failed callback of a connection, as `on_error` has it by default.
pub(crate) fn log_error(ws: &WebSocket, error: &Error) {
    log_error_of("a callback", ws, error);
}

/// As `log_error`, where more is known of whose callback it was.
pub(crate) fn log_error_of(whose: &str, ws: &WebSocket, error: &Error) {
    let id = ws.id();
    if error.is_protocol() || error.is_io() {
        tracing::debug!(%id, %error, "the connection failed");
    } else {
        log(&format!("{whose} failed on connection {id}"), error);
    }
}
