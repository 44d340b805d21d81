//! Bodies while hyper moves them: a deadline for one that comes in, and a note
//! that a worker is waited for while one goes out.
//! Does not bound their size: `http`'s `Body` does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::conn::{Conn, deadline};
use crate::error::{Error, Result};
use crate::guard::log;
use crate::http::Body;

/// A request's body as it comes. It may make the worker wait for so long, and
/// again after each [`PROGRESS`] bytes; the time in which nobody asks for more
/// does not count.
pub(super) struct Arriving {
    body: Incoming,
    conn: Arc<Conn>,
    /// Of the time that it may make wait, what is left.
    left: Duration,
    /// Bytes since that was renewed.
    came: usize,
    /// Since when it makes wait.
    waits: Option<Instant>,
    // Made on the first wait, and kept for the next.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    /// The body of a request on this connection, for the worker.
    pub(super) fn of(body: Incoming, conn: &Arc<Conn>) -> Body {
        let site = &conn.thread.site;
        if body.is_end_stream() {
            return Body::of_request(body, site.max_body);
        }
        let arriving = Self {
            body,
            conn: conn.clone(),
            left: site.handshake_timeout,
            came: 0,
            waits: None,
            sleep: None,
        };
        Body::of_request(arriving, site.max_body)
    }

    fn came(&mut self, bytes: usize) {
        self.conn.chunks.fetch_add(1, Ordering::Relaxed);
        if let Some(since) = self.waits.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.came += bytes;
        if self.came >= PROGRESS {
            self.came = 0;
            self.left = self.conn.thread.site.handshake_timeout;
        }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.waits.is_none() {
            self.waits = Some(Instant::now());
            let at = deadline(self.left);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(sleep_until(at))),
            }
        }
        let sleep = self.sleep.as_mut().expect("it is set with the wait");
        sleep.as_mut().poll(cx)
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.came(frame.data_ref().map_or(0, Bytes::len));
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                // With what hyper says of it further down.
                let message = format!("the body cannot be read: {}", Error::from(error));
                let error = Error::rejected_for_good(StatusCode::BAD_REQUEST, message);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                ready!(this.poll_late(cx));
                let message = "the body did not come in time";
                let error = Error::rejected_for_good(StatusCode::REQUEST_TIMEOUT, message);
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body as it goes out.
pub(super) struct Leaving {
    body: Body,
    /// Of one that may make hyper wait.
    conn: Option<Arc<Conn>>,
}

impl Leaving {
    pub(super) fn of(body: Body, conn: &Arc<Conn>) -> Self {
        let conn = body.is_stream().then(|| conn.clone());
        Self { body, conn }
    }

    fn waits(&self, waits: bool) {
        if let Some(conn) = &self.conn {
            conn.streaming.store(waits, Ordering::Relaxed);
        }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.waits(polled.is_pending());
        if let Poll::Ready(Some(Err(error))) = &polled {
            report(error);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.waits(false);
    }
}

/// There is nobody to answer: the status has been sent.
fn report(error: &Error) {
    let what = "the body of a response failed, and its connection is cut";
    match error.status() {
        // A client's own doing, when its request's body is sent back.
        Some(_) => tracing::debug!(%error, "{what}"),
        None => log(what, error),
    }
}

/// So many bytes of a body renew its time: a peer that sends fewer holds the
/// connection with next to nothing.
const PROGRESS: usize = 16 << 10;
