//! The `Worker` trait, and how its callbacks are run: one value for each
//! request, guarded against errors and panics.
//! Does not accept connections (`server`) or read frames (`connection`).

mod accept;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;

use crate::connection::{Consumer, Event, Handle, Inbox, Opening, Role, Slow, Turned, Upgraded};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::guard::{Kept, guarded, log, log_error};
use crate::http::{Accepted, Body, Head, Request, Response};
use crate::protocol::close::CloseEvent;
use crate::protocol::message::Message;
use crate::socket::WebSocket;

/// A worker: answers requests, and hears the events of the connections that it
/// upgrades. Put [`#[worker]`](macro@crate::worker) on the type.
///
/// The value given to the server is cloned for each request. The clone that
/// upgrades becomes its connection's: `&mut self` is that connection's state,
/// and what `fetch` learned is there in the callbacks. Connections share
/// through `Arc` fields.
///
/// For one connection `on_open` comes first and once, then messages in order,
/// each after the one before it was handled, then `on_close` once while the
/// process lives. A callback that fails or panics closes its connection with
/// 1011, after `on_error` and before `on_close`; no other connection notices.
///
/// While a callback waits, its connection reads up to 64 KiB ahead and answers
/// pings. While over half of `max_buffered` waits to be sent, the next message
/// is not delivered and nothing is read: an echo needs no backpressure of its own.
/// A connection that this process opened as a client is read all the same, as two
/// ends that both wait would do so for ever: there an echo waits for
/// [`ready`](WebSocket::ready), or `send` says that it is full.
///
/// A callback may await for as long as it likes, but must not block its thread:
/// every connection of that thread would wait. Long computations and blocking
/// calls go into `tokio::task::spawn_blocking`.
///
/// ```
/// use wsworker::prelude::*;
///
/// /// Counts the messages of each connection.
/// #[worker]
/// #[derive(Clone, Default)]
/// struct Counter {
///     seen: u64,
/// }
///
/// impl Worker for Counter {
///     async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
///         self.seen += 1;
///         ws.send(format!("message {}", self.seen))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a worker",
    label = "this needs an `impl Worker for {Self}`, and `#[worker]` on its type",
    note = "a worker implements at least `async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()>`"
)]
pub trait Worker: Annotated + CloneForEachRequest + Send + 'static {
    /// Answers a request. By default every request for a WebSocket is accepted,
    /// at any path, and anything else is told what is expected.
    ///
    /// An error answers 500 with an id and is logged under it, unless it stands
    /// for another response, as those of [`Request::upgrade`] do, and what is
    /// wrong with a query or a body. HEAD is answered like GET, without the body.
    fn fetch(&mut self, req: Request, env: &Env) -> impl Future<Output = Result<Response>> + Send {
        let _ = env;
        async move { Ok(req.upgrade()?.accept()) }
    }

    /// The connection is open. `req` is the request that was upgraded; it has no
    /// body.
    fn on_open(
        &mut self,
        ws: &WebSocket,
        req: &Request,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (ws, req);
        async { Ok(()) }
    }

    /// A message came. The next waits until this returns.
    ///
    /// By default it fails, which closes the connection with 1011: a worker whose
    /// `fetch` accepts no WebSocket for its own callbacks never gets one.
    fn on_message(
        &mut self,
        ws: &WebSocket,
        message: Message,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (ws, message);
        async {
            Err(Error::new(
                "a message came, and the worker has no on_message",
            ))
        }
    }

    /// The connection is closed; nothing can be sent any more.
    fn on_close(&mut self, ws: &WebSocket, close: CloseEvent) -> impl Future<Output = ()> + Send {
        let _ = (ws, close);
        async {}
    }

    /// A callback failed, the peer broke the protocol, or the connection failed.
    /// By default it is logged: as an error if it is the worker's own, else for
    /// debugging. `on_close` follows, unless `#[worker(failed = "keep")]` has the socket
    /// go on after its failed callback.
    fn on_error(&mut self, ws: &WebSocket, error: &Error) -> impl Future<Output = ()> + Send {
        log_error(ws, error);
        async {}
    }
}

/// What the attribute says of a worker.
#[diagnostic::on_unimplemented(
    message = "`{Self}` implements the callbacks but has no `#[worker]` attribute",
    label = "put `#[worker]` on the definition of `{Self}`"
)]
pub trait Annotated: Sized {
    /// The attribute's options.
    const OPTIONS: Options;

    /// What the server calls.
    fn entrypoint(self) -> Entry
    where
        Self: Worker;
}

/// `Clone`, asked for in words that say why.
#[diagnostic::on_unimplemented(
    message = "the worker `{Self}` cannot be cloned",
    label = "add `#[derive(Clone)]` to the definition of `{Self}`",
    note = "a worker is cloned for each request; share what must not be cloned through an `Arc`",
    note = "a generic worker needs the bounds in its `impl` too, as in `impl<T: Clone + Send + 'static>`"
)]
pub trait CloneForEachRequest {
    /// A clone. Not `Clone` as a supertrait: then its message would come instead of this one.
    fn clone_for_request(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> CloneForEachRequest for T {
    fn clone_for_request(&self) -> Self {
        self.clone()
    }
}

/// The attribute's options; what is not set has the server's default.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes of a message.
    pub max_message: Option<usize>,
    /// Bytes that wait to be sent.
    pub max_buffered: Option<usize>,
    /// What a broadcast does with a full socket.
    pub slow: Option<Slow>,
    /// A failed callback does not close its socket.
    pub keeps_failed: bool,
    /// A peer silent for so long is gone.
    pub idle_timeout: Option<Duration>,
    /// Time for a request's head.
    pub handshake_timeout: Option<Duration>,
    /// Subprotocols, in order of preference.
    pub protocols: &'static [&'static str],
    /// Foreign origins that may connect.
    pub origins: &'static [&'static str],
    /// Durable Objects.
    #[cfg(feature = "objects")]
    pub objects: &'static [crate::object::Registration],
}

impl Options {
    /// Nothing set.
    pub const NONE: Self = Self {
        max_message: None,
        max_buffered: None,
        slow: None,
        keeps_failed: false,
        idle_timeout: None,
        handshake_timeout: None,
        protocols: &[],
        origins: &[],
        #[cfg(feature = "objects")]
        objects: &[],
    };
}

/// A worker as the server sees it, whatever its type: one call for each request.
#[async_trait]
pub trait Entrypoint: Send + Sync {
    /// The attribute's options.
    fn options(&self) -> &'static Options;

    /// Answers a request with a clone of the worker. Errors and panics are
    /// answers too.
    async fn fetch(&self, request: Request, env: &Env) -> Answer;
}

/// A shared entrypoint.
pub type Entry = Arc<dyn Entrypoint>;

/// What a request comes to.
pub struct Answer {
    pub(crate) response: http::Response<Body>,
    /// There if and only if the response is a 101.
    pub(crate) start: Option<Start>,
}

/// Starts the connection's task on the current runtime.
pub(crate) type Start = Box<dyn FnOnce(Upgraded) + Send>;

/// What `#[worker]` generates a call of.
pub fn entrypoint<W: Worker>(worker: W) -> Entry {
    Arc::new(Prototype(Mutex::new(worker)))
}

/// The value that each request's worker is cloned from. In a lock, so that a
/// worker need not be `Sync`.
struct Prototype<W>(Mutex<W>);

#[async_trait]
impl<W: Worker> Entrypoint for Prototype<W> {
    fn options(&self) -> &'static Options {
        &W::OPTIONS
    }

    async fn fetch(&self, request: Request, env: &Env) -> Answer {
        let head = request.shared_head().clone();
        let fetched = guarded(|| async {
            let mut worker = Kept::new(self.cloned());
            let response = worker.fetch(request, env).await?;
            Ok((worker, response.answering(&head)?))
        });
        match fetched.await.flatten() {
            Ok((worker, response)) => {
                let (response, accepted) = response.into_parts_for_server();
                let start = accepted.map(|accepted| start(worker, accepted));
                Answer { response, start }
            }
            Err(error) => Answer {
                response: failure(&head, &error).into_parts_for_server().0,
                start: None,
            },
        }
    }
}

impl<W: Worker> Prototype<W> {
    fn cloned(&self) -> W {
        // A clone that panicked left the prototype as it was.
        let prototype = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prototype.clone_for_request()
    }
}

/// The response to a request whose worker failed. What went wrong is logged
/// under an id, and only the id is told.
fn failure(request: &Head, error: &Error) -> Response {
    if let Some(response) = Response::rejection(error) {
        return response;
    }
    let id = format!("{:016x}", RandomState::new().hash_one(0));
    // Without the query, which may have secrets in it.
    let (method, path) = (&request.method, request.uri.path());
    let what = format!("the worker's fetch failed for {method} {path}, error id {id}");
    log(&what, error);
    let text = format!("Internal Server Error\nerror id: {id}\n");
    Response::error(text, StatusCode::INTERNAL_SERVER_ERROR.as_u16())
        .expect("500 is a final status")
}

fn start<W: Worker>(worker: Kept<W>, accepted: Accepted) -> Start {
    let Accepted {
        request,
        protocol,
        end,
    } = accepted;
    let Some(mut end) = end else {
        return Box::new(move |upgraded| {
            let handle = Handle::new(Role::Server);
            let callbacks = Callbacks {
                worker,
                ws: WebSocket::new(handle.clone()),
                request: Some(request),
            };
            let opening = Opening {
                upgraded,
                protocol,
                opener: None,
            };
            opening.begin(handle, callbacks);
        });
    };
    // Whoever accepted the other end listens.
    drop(worker);
    end.leave();
    Box::new(move |upgraded| {
        end.go_out(Opening {
            upgraded,
            protocol,
            opener: Some(request),
        });
    })
}

/// The consumer that a connection's events reach as callbacks of its worker.
struct Callbacks<W> {
    worker: Kept<W>,
    ws: WebSocket,
    /// Until `on_open` has it. The head alone: this is here for as long as the
    /// connection.
    request: Option<Arc<Head>>,
}

impl<W: Worker> Consumer for Callbacks<W> {
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` holds its arguments twice"
    )]
    fn messages(mut self, mut inbox: Inbox) -> impl Future<Output = Turned<Self>> + Send + 'static {
        async move {
            let Self { worker, ws, .. } = &mut self;
            while let Some(message) = inbox.next().await {
                if let Err(error) = guarded(|| worker.on_message(ws, message)).await.flatten() {
                    return (self, Err(error));
                }
            }
            (self, Ok(()))
        }
    }

    async fn event(mut self, event: Event) -> Turned<Self> {
        let Self {
            worker,
            ws,
            request,
        } = &mut self;
        let result = match event {
            Event::Open => match request.take() {
                Some(head) => {
                    let request = Request::of(head, Body::empty());
                    guarded(|| worker.on_open(ws, &request)).await.flatten()
                }
                None => Ok(()),
            },
            Event::Error(error) => guarded(|| worker.on_error(ws, &error)).await,
            Event::Close(close) => guarded(|| worker.on_close(ws, close)).await,
        };
        (self, result)
    }

    /// After a panic nobody knows what state the worker is in.
    fn outlives(&self, failure: &Error) -> bool {
        W::OPTIONS.keeps_failed && !failure.is_panic()
    }
}
