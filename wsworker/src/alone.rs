//! What could be a task of its own, but is not: a panic ends it, and nothing else.
//! Does not tell of the panic: the hook of panics does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls it; after a panic it is `Ready`, and must not be polled again.
pub(crate) fn poll_alone<F: Future<Output = ()> + ?Sized>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    // What it broke is its own: nothing of ours is touched while it runs.
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(polled) => polled,
        Err(panic) => {
            drop_alone(panic);
            Poll::Ready(())
        }
    }
}

/// Drops it.
pub(crate) fn drop_alone<T>(it: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(it)));
    // A panic's value may panic in its turn; the third one stays.
    let dropped = dropped.or_else(|panic| catch_unwind(AssertUnwindSafe(|| drop(panic))));
    if let Err(panic) = dropped {
        std::mem::forget(panic);
    }
}
