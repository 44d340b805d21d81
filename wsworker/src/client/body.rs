//! Bodies on their way: a request's, which tells when it last moved and what broke it, and a response's,
//! which must keep moving.
//! Does not bound their size: `Body` does.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connect::chain;
use super::target::Target;
use crate::error::{Error, Fault, Result};
use crate::http::Body;

/// A request's body, and how it goes.
pub(super) struct Outgoing {
    body: Body,
    progress: Arc<Progress>,
}

/// How a request goes, as its body sees it.
#[derive(Default)]
pub(super) struct Progress {
    /// When it last moved; never before its connection has it.
    last: Mutex<Option<Instant>>,
    /// Rung at the first time.
    pub(super) begun: Notify,
    /// What broke the body, which hyper gives back only as a text.
    fault: Mutex<Option<Error>>,
    /// Interim responses that came.
    interim: AtomicUsize,
    /// Rung when there are too many of them.
    pub(super) flooded: Notify,
}

impl Outgoing {
    pub(super) fn new(body: Body, progress: Arc<Progress>) -> Self {
        Self { body, progress }
    }
}

impl Progress {
    pub(super) fn last(&self) -> Option<Instant> {
        *locked(&self.last)
    }

    pub(super) fn take_fault(&self) -> Option<Error> {
        locked(&self.fault).take()
    }

    /// Counts the interim responses (1xx) to this request, of which hyper would take
    /// any number at once.
    pub(super) fn watch<B>(self: &Arc<Self>, request: &mut http::Request<B>) {
        let progress = self.clone();
        hyper::ext::on_informational(request, move |_| {
            if progress.interim.fetch_add(1, Ordering::Relaxed) == MAX_INTERIM {
                progress.flooded.notify_one();
            }
        });
    }

    fn touch(&self) {
        if locked(&self.last).replace(Instant::now()).is_none() {
            self.begun.notify_one();
        }
    }

    fn fail(&self, fault: Error) -> Error {
        let text = fault.to_string();
        *locked(&self.fault) = Some(fault);
        Error::new(text)
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.progress.touch();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_err(|error| self.progress.fail(error))
    }

    fn is_end_stream(&self) -> bool {
        // hyper asks when it writes the head.
        self.progress.touch();
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project! {
    /// A response's body, whose pauses are bounded.
    pub(super) struct Timely<B> {
        #[pin]
        body: B,
        from: Target,
        limit: Duration,
        // Only while it is waited for.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<B> Timely<B> {
    pub(super) fn new(body: B, from: Target, limit: Duration) -> Self {
        Self {
            body,
            from,
            limit,
            sleep: None,
        }
    }
}

impl<B: HttpBody<Data = Bytes, Error: StdError + 'static>> HttpBody for Timely<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let mut this = self.project();
        let from = this.from;
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            this.sleep.set(None);
            let broken = |error: B::Error| {
                let error = chain(&error);
                Error::fetch(
                    Fault::Other,
                    format!("the body from {from} broke off: {error}"),
                )
            };
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        }
        if this.sleep.is_none() {
            let sleep = sleep_until(after(Instant::now(), *this.limit));
            this.sleep.set(Some(sleep));
        }
        let sleep = this.sleep.as_pin_mut().expect("it was just set");
        sleep.poll(cx).map(|()| {
            let limit = this.limit;
            let message = format!("the body from {from} paused for {limit:?} (body_timeout)");
            Some(Err(Error::fetch(Fault::Timeout, message)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The error of too many interim responses.
pub(super) fn too_many_interim(from: &Target) -> Error {
    let message =
        format!("no response from {from}: more than {MAX_INTERIM} interim responses (1xx)");
    Error::fetch(Fault::Other, message)
}

/// How many interim responses one response may have before it.
const MAX_INTERIM: usize = 100;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Far off instead of past the end of the clock.
pub(super) fn after(start: Instant, time: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    start.checked_add(time).unwrap_or(start + YEAR)
}
