//! One TCP connection while it speaks HTTP: from its first byte to the upgrade or the end.
//! Does not accept it and does not speak WebSocket: after a 101 the stream is handed on.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::answer::{Answering, answer};
use super::bodies::{Arriving, Leaving};
use super::limits::{AddressPermit, Permit};
use super::short::{self, First};
use super::stream::Watched;
use super::thread::{Phase, Thread};
#[cfg(feature = "tls")]
use super::tls;
use crate::connection::{Stream, Upgraded};
use crate::http::Body;
use crate::worker::Start;

/// What a connection's requests, its stream and its clock share.
pub(super) struct Conn {
    pub(super) thread: Arc<Thread>,
    pub(super) peer: Option<SocketAddr>,
    /// A worker answers: no clock runs.
    busy: AtomicBool,
    /// Requests answered.
    answered: AtomicUsize,
    /// Writes that went forward.
    pub(super) writes: AtomicUsize,
    /// Pieces of requests' bodies that came.
    pub(super) chunks: AtomicUsize,
    /// A response's body has nothing to give yet: no clock runs.
    pub(super) streaming: AtomicBool,
    /// The peer has ended its side.
    pub(super) ended: AtomicBool,
    /// Set by the request that got a 101.
    opening: Mutex<Option<Opening>>,
}

/// What waits for a 101 to be on the wire.
pub(super) struct Opening {
    pub(super) start: Start,
    pub(super) remote_addr: Option<SocketAddr>,
    pub(super) address: Option<AddressPermit>,
}

impl Conn {
    pub(super) fn open(&self, opening: Opening) {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = Some(opening);
    }

    pub(super) fn opening(&self) -> Option<Opening> {
        let mut slot = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }
}

/// Serves HTTP on the stream until it is upgraded or ends. On the runtime of `thread`.
pub(super) async fn serve(
    thread: Arc<Thread>,
    stream: Stream,
    peer: Option<SocketAddr>,
    mut permit: Permit,
) {
    #[cfg(feature = "tls")]
    let Some((stream, deadline)) = tls::open(&thread, stream).await else {
        return;
    };
    #[cfg(not(feature = "tls"))]
    let deadline = None;
    let conn = Arc::new(Conn {
        thread,
        peer,
        busy: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
        writes: AtomicUsize::new(0),
        chunks: AtomicUsize::new(0),
        streaming: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        opening: Mutex::new(None),
    });
    let (stream, read, end) = speak_http(&conn, stream, deadline).await;
    match end {
        End::Opened(opening) => {
            permit.hold(opening.address);
            // A task of its own, and a small one: ours holds hyper's state, which
            // ends here.
            (opening.start)(Upgraded {
                stream,
                read,
                hub: conn.thread.hub.clone(),
                remote_addr: opening.remote_addr,
                guard: Some(Box::new(permit)),
            });
        }
        End::Answered => part(stream, &conn).await,
        End::TooLate => {
            refuse(stream, REQUEST_TIMEOUT).await;
        }
        End::Gone => {}
    }
}

/// Writes a whole response and closes: for whoever never gets to a worker.
/// Bounded in time and bytes.
pub(super) async fn refuse(mut stream: Stream, response: &[u8]) {
    let refused = async {
        stream.write_all(response).await?;
        stream.shutdown().await?;
        drain(&mut stream).await
    };
    // A peer that is gone, or that does not listen, has no use for it.
    let _ = timeout(LINGER, refused).await;
}

/// How a connection's time with HTTP ended.
pub(super) enum End {
    /// With a 101.
    Opened(Opening),
    /// With a response after which the connection closes.
    Answered,
    /// Without a request in time.
    TooLate,
    /// Without anything that could still be said.
    Gone,
}

/// Answers requests, and gives the stream back with what was read past the last one.
/// The first has until `deadline`, if that is set.
async fn speak_http(
    conn: &Arc<Conn>,
    mut stream: Stream,
    deadline: Option<Instant>,
) -> (Stream, Vec<u8>, End) {
    let mut clock = pin!(Clock::new(conn.thread.site.handshake_timeout, deadline));
    match short::first(conn, &mut stream, clock.as_mut()).await {
        First::Ended(end, read) => (stream, read.to_vec(), end),
        First::Http(read, answer) => drive_hyper(conn, stream, clock, read, answer).await,
    }
}

/// Drives hyper, which has read nothing yet but is to get what was `read`. The answer to
/// the first request may have begun.
async fn drive_hyper(
    conn: &Arc<Conn>,
    stream: Stream,
    mut clock: Pin<&mut Clock>,
    read: Bytes,
    first: Option<Answering>,
) -> (Stream, Vec<u8>, End) {
    let thread = &conn.thread;
    let io = TokioIo::new(Watched::new(stream, read, conn.clone()));
    let first = Mutex::new(first);
    let service = service_fn(|request: http::Request<Incoming>| {
        let begun = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answering = begun.unwrap_or_else(|| {
            let (request, body) = request.into_parts();
            // Not read, hyper skips a short one and closes after the response to a long one.
            begin(conn, request, Arriving::of(body, conn))
        });
        let conn = conn.clone();
        async move {
            let response = answering.await;
            Ok::<_, Infallible>(response.map(|body| Leaving::of(body, &conn)))
        }
    });
    // `Connection` alone, not `with_upgrades`: that boxes the stream and sends it
    // through a channel.
    let mut hyper = Box::new(thread.site.http.serve_connection(io, service));
    let mut turned = pin!(thread.turned.notified());
    let mut phase = Phase::Serving;
    let end = poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = Pin::new(&mut *hyper).poll(cx) {
                let opening = conn.opening();
                return Poll::Ready(match (result, opening) {
                    (Ok(()), Some(opening)) => End::Opened(opening),
                    // Hyper has answered what it could not parse.
                    (Ok(()), None) => End::Answered,
                    (Err(e), None) if e.is_parse() => End::Answered,
                    (Err(_), _) => End::Gone,
                });
            }
            // Looked at before the first wait for a turn too: a connection may
            // come just as the server begins to drain.
            match thread.phase() {
                Phase::Stopped => return Poll::Ready(End::Gone),
                Phase::Draining if phase == Phase::Serving => {
                    phase = Phase::Draining;
                    Pin::new(&mut *hyper).graceful_shutdown();
                    continue;
                }
                _ => {}
            }
            if turned.as_mut().poll(cx).is_pending() {
                break;
            }
            turned.set(thread.turned.notified());
        }
        clock.as_mut().poll(conn, cx)
    })
    .await;
    let parts = (*hyper).into_parts();
    // A copy of the exact size: even empty, hyper's buffer keeps 8 KiB alive.
    let read = parts.read_buf.to_vec();
    (parts.io.into_inner().into_stream(), read, end)
}

/// Has the worker answer.
pub(super) fn begin(conn: &Arc<Conn>, request: Parts, body: Body) -> Answering {
    let (conn, busy) = (conn.clone(), Busy::new(conn.clone()));
    Box::pin(async move {
        let response = answer(&conn, request, body).await;
        drop(busy);
        response
    })
}

/// Set while a worker answers; a request that is dropped ends it too.
struct Busy(Arc<Conn>);

impl Busy {
    fn new(conn: Arc<Conn>) -> Self {
        conn.busy.store(true, Ordering::Relaxed);
        Self(conn)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// The deadline for a request's head. It starts with the connection and
    /// again with each response, goes on with each write of one (a slow reader
    /// is no idle peer) and each piece of a body that is read past it, and does
    /// not run while a worker answers or is waited for. Bytes of a head do not
    /// move it.
    pub(super) struct Clock {
        time: Duration,
        // The deadline of the first head, where it was set before the clock was made.
        first: Option<Instant>,
        // What the deadline was set for: answers, and steps of bodies and writes.
        seen: (usize, usize),
        // Made on the first wait: a request that is there at once needs none.
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Clock {
    fn new(time: Duration, first: Option<Instant>) -> Self {
        Self {
            time,
            first,
            seen: (0, 0),
            sleep: None,
        }
    }

    pub(super) fn poll(
        self: Pin<&mut Self>,
        conn: &Conn,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<End> {
        let mut this = self.project();
        if conn.busy.load(Ordering::Relaxed) || conn.streaming.load(Ordering::Relaxed) {
            // The time until then does not count.
            *this.seen = STOPPED;
            return Poll::Pending;
        }
        let writes = conn.writes.load(Ordering::Relaxed);
        let steps = writes.wrapping_add(conn.chunks.load(Ordering::Relaxed));
        let now = (conn.answered.load(Ordering::Relaxed), steps);
        match this.sleep.as_mut().as_pin_mut() {
            None => {
                let first = this.first.filter(|_| now == (0, 0));
                let until = first.unwrap_or_else(|| deadline(*this.time));
                this.sleep.set(Some(sleep_until(until)));
            }
            Some(sleep) if *this.seen != now => sleep.reset(deadline(*this.time)),
            Some(_) => {}
        }
        *this.seen = now;
        let sleep = this.sleep.as_pin_mut().expect("it was just set");
        sleep.poll(cx).map(|()| match now {
            (0, 0) => End::TooLate,
            // After a response, a 408 could be taken for the next one's; an idle
            // connection that ends is nothing to a client.
            _ => End::Gone,
        })
    }
}

/// Not what a clock sees that runs.
const STOPPED: (usize, usize) = (usize::MAX, usize::MAX);

/// Far off instead of past the end of the clock.
pub(super) fn deadline(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + YEAR)
}

/// Closes after a last response. What the peer still sends is read for a while:
/// closing a socket with unread bytes makes the kernel reset it, and the reset
/// can overtake the response.
async fn part(mut stream: Stream, conn: &Conn) {
    if conn.ended.load(Ordering::Relaxed) {
        return;
    }
    let parted = async {
        stream.shutdown().await?;
        drain(&mut stream).await
    };
    let _ = timeout(LINGER, parted).await;
}

async fn drain(stream: &mut Stream) -> std::io::Result<()> {
    // On the heap: every connection's task would have room for it.
    let mut buffer = vec![0; 1024];
    let mut left = DRAINED;
    while left > 0 {
        match stream.read(&mut buffer).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// How long a peer may take to hear its last response.
const LINGER: Duration = Duration::from_millis(500);
/// How much of what it still sends is read, in bytes.
const DRAINED: usize = 256 << 10;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

// Hyper closes silently where RFC 9110 §15.5.9 has a status.
pub(super) const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    connection: close\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 33\r\n\r\n\
    the request did not come in time\n";
