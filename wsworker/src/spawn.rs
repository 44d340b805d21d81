//! `spawn`: a task beside the callbacks, whose failure does not vanish.
//! Does not keep track of tasks: nothing waits for them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::error::Result;
use crate::guard::log;

/// Runs a task beside the callbacks, for instance one that hears the events of a
/// [`WebSocketPair`](crate::WebSocketPair)'s end.
///
/// It runs on the current tokio runtime, in [`run`](crate::run) on the thread of
/// the callback that spawns it, and ends with it. An error is logged; a panic ends
/// this task alone. Nothing waits for it: what `run` drains is connections.
///
/// ```
/// # fn f(mut events: wsworker::WebSocketEvents) {
/// use wsworker::Event;
///
/// wsworker::spawn(async move {
///     while let Some(event) = events.next().await {
///         if let Event::Message(message) = event {
///             events.send(message)?;
///         }
///     }
///     Ok(())
/// });
/// # }
/// ```
///
/// # Panics
/// Outside any tokio runtime.
#[track_caller]
pub fn spawn(task: impl Future<Output = Result<()>> + Send + 'static) {
    tokio::spawn(Logged { task });
}

pin_project! {
    /// A task whose error is logged. No `async` block, which would have room for it twice.
    struct Logged<F> {
        #[pin]
        task: F,
    }
}

impl<F: Future<Output = Result<()>>> Future for Logged<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Err(error) = ready!(self.project().task.poll(cx)) {
            log("a spawned task failed", &error);
        }
        Poll::Ready(())
    }
}
