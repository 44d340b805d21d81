//! Tests of a worker: a [`TestServer`] serves it, and the test is its client.
//!
//! ```
//! use wsworker::prelude::*;
//! use wsworker::testing::{TestServer, Via};
//!
//! #[worker]
//! #[derive(Clone, Default)]
//! struct Clicks(u32);
//!
//! impl Worker for Clicks {
//!     async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
//!         match message.as_text() {
//!             Some("CLICK") => self.0 += 1,
//!             _ => return ws.close_with(CloseCode::POLICY, "click, please"),
//!         }
//!         ws.send(format!(r#"{{"count":{}}}"#, self.0))
//!     }
//! }
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn clicks_are_counted() -> Result<()> {
//!     let server = TestServer::start(Clicks::default(), Via::Memory).await?;
//!     assert_eq!(server.fetch("/").await?.status(), 426); // no page: this worker wants an upgrade
//!
//!     let mut ws = server.connect("/").await?;
//!     ws.send("CLICK")?;
//!     assert_eq!(ws.text().await?, r#"{"count":1}"#);
//!     ws.send("knock, knock")?;
//!     assert_eq!(ws.closed().await?.code, 1008);
//!     server.shutdown().await
//! }
//! # clicks_are_counted().unwrap();
//! ```
//!
//! It needs this crate's feature `testing`, which adds no dependency, and tokio's
//! `macros`, `rt` and (to pause time) `test-util`:
//!
//! ```toml
//! [dev-dependencies]
//! wsworker = { path = "…", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! # What is real
//! All but the network: the server that [`Server::serve`] runs, with its
//! handshake, limits, deadlines and drain, frames by RFC 6455, and
//! [`Client`] on the other side. [`Via`] says what is between the
//! two, and nothing else differs: a test that takes it as an argument runs in
//! memory, which needs no port and no real time, and over TCP.
//!
//! # Requests
//! [`TestServer::fetch`] and [`TestServer::connect`] take what
//! [`fetch`](fn@crate::fetch) takes, and a path too. A browser's page, another
//! origin's, is a header, as is a subprotocol or a cookie:
//!
//! ```
//! # use wsworker::{Request, Result, testing::TestServer};
//! # async fn f(server: TestServer) -> Result<()> {
//! let from_elsewhere = Request::get("/ws").header("origin", "https://evil.example");
//! let refused = server.connect(from_elsewhere).await.unwrap_err();
//! assert!(refused.to_string().contains("403"));
//!
//! let chat = Request::get("/ws").header("sec-websocket-protocol", "chat.v1, chat.v2");
//! assert_eq!(server.connect(chat).await?.protocol(), Some("chat.v1"));
//!
//! let order = Request::post("/orders").json(&["tea"]);
//! assert_eq!(server.fetch(order).await?.status(), 201);
//! # Ok(()) }
//! ```
//!
//! # Time
//! With `#[tokio::test(start_paused = true)]` and [`Via::Memory`] time passes only
//! when everything waits for it: `tokio::time::sleep` of two minutes takes a moment, and so
//! do idle timeouts, closing deadlines and drains. No time passes while a
//! message is on its way or a callback computes. Servers look at their clock
//! every 50 ms, so that an hour takes some seconds. What a callback leaves to
//! another thread, but for `tokio::task::spawn_blocking`, is not waited for.
//!
//! With [`Via::Tcp`] let time run: the system's network knows no paused clock.
//!
//! # Durable Objects
//! Their state lies in memory and is gone with the server, unless `Server::data` or
//! `Server::storage` says otherwise: one `Arc<MemoryStorage>` given to two servers, the
//! second after the first, is a restart. Hibernation, an event's deadline and
//! `set_alarm_after` keep to the paused clock. `SystemTime::now()` does not: an alarm
//! set at a time made of it may come early, and one that outlives a restart late. A
//! paused clock does not wait for a disk: with `Server::data` let time run.
//!
//! A `fetch` gives up after 30 s, which is an event's deadline too: to see what comes
//! of that, give the class a shorter `event_timeout`.
//!
//! # A peer that misbehaves
//! [`TestSocket::stall`] is a network that is gone without a word, and
//! [`TestSocket::cut`] a connection that ends without a Close:
//!
//! ```
//! # use std::time::Duration;
//! # use wsworker::{Result, testing::TestServer};
//! # async fn f(server: TestServer) -> Result<()> {
//! let mut ws = server.connect("/").await?;
//! ws.stall(); // sends nothing from now on, no pong either
//! tokio::time::sleep(Duration::from_secs(121)).await;
//! assert_eq!(server.connections(), 0); // taken for gone after two minutes
//! # Ok(()) }
//! ```

mod socket;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::{JoinError, JoinHandle};

pub use self::socket::TestSocket;
use crate::client::Client;
use crate::connection::{Gate, Place};
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::server::{Server, ServerHandle};

/// What is between a test and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// This process's memory, 64 KiB each way for each connection: no port, no
    /// system calls, and a paused clock is all the time there is. The client's
    /// address is one of `127.0.0.1`, as over TCP.
    Memory,
    /// TCP, over a free port of `127.0.0.1`.
    Tcp,
}

/// A worker that is served, for a test to talk to. The [module](self) shows how.
///
/// Made on the test's own runtime, single- or multi-threaded. Dropped, it ends
/// as by [`shutdown`](Self::shutdown), without anyone waiting for it.
pub struct TestServer {
    place: Place,
    handle: ServerHandle,
    /// Serves.
    task: Aborted<Result<()>>,
}

impl TestServer {
    /// Serves a worker, or a [`Server`] with settings. Where that was to listen
    /// ([`Server::bind`]) and its TLS do not count here; all else does.
    ///
    /// # Errors
    /// Those of [`Server::listen`].
    ///
    /// # Panics
    /// Outside a tokio runtime that has time, and for TCP I/O, enabled.
    pub async fn start(server: impl Into<Server>, via: Via) -> Result<Self> {
        let server = server.into();
        let (listening, place) = match via {
            Via::Memory => server.listen_in_memory()?,
            Via::Tcp => server.listen_on_loopback().await?,
        };
        Ok(Self {
            place,
            handle: listening.handle(),
            task: Aborted(tokio::spawn(listening.serve())),
        })
    }

    /// Sends a request and gives the response, of any status: a redirect is given
    /// back, and cookies are not kept. Each goes over a connection of its own.
    ///
    /// A path alone is one of `http://worker.test`; with another host the
    /// request comes here too, and says so in its `Host`.
    ///
    /// # Errors
    /// Those of [`Client::fetch`].
    pub async fn fetch(&self, request: impl Into<Request>) -> Result<Response> {
        self.client(None)?.fetch(absolute(request.into())).await
    }

    /// Opens a WebSocket. `Upgrade` is set if the request does not say it;
    /// subprotocols to offer and an `Origin` are its headers.
    ///
    /// # Errors
    /// Those of [`Client::fetch`]; and if the server answers with anything but a
    /// 101, [`Error::is_handshake`] with that status. To look at such a response
    /// itself, [`fetch`](Self::fetch) a request with `Upgrade: websocket`.
    pub async fn connect(&self, request: impl Into<Request>) -> Result<TestSocket> {
        let gate = Arc::new(Gate::default());
        let mut request = absolute(request.into());
        if !request.is_upgrade() {
            let upgrade = request.into_builder().header("upgrade", "websocket");
            request = upgrade.into();
        }
        let client = self.client(Some(gate.clone()))?;
        let end = client.fetch(request).await?.into_websocket()?;
        Ok(TestSocket::new(end.accept(), gate))
    }

    /// How many connections the server has, WebSockets and others.
    pub fn connections(&self) -> usize {
        self.handle.connections()
    }

    /// The server's own handle, to begin a drain and go on testing:
    /// `server.handle().shutdown()`.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Where other clients find it, with [`Via::Tcp`].
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Tcp(addr) => Some(addr),
            Place::Memory(_) => None,
        }
    }

    /// Drains, as [`ServerHandle::shutdown`] does: every WebSocket is closed with
    /// 1001. Returns when every connection has ended and its worker's `on_close`
    /// with it, or when [`drain_timeout`](Server::drain_timeout) is over.
    ///
    /// # Errors
    /// That of [`Listening::serve`](crate::Listening::serve).
    pub async fn shutdown(mut self) -> Result<()> {
        self.handle.shutdown();
        match (&mut self.task.0).await {
            Ok(served) => served,
            Err(failed) => Err(ended(failed)),
        }
    }

    fn client(&self, gate: Option<Arc<Gate>>) -> Result<Client> {
        Client::of_place(self.place.clone(), gate)
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TestServer");
        shown.field("local_addr", &self.local_addr());
        shown.field("connections", &self.connections());
        shown.finish_non_exhaustive()
    }
}

/// A task that ends with whoever started it.
struct Aborted<T>(JoinHandle<T>);

impl<T> Drop for Aborted<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// With the server's host where it names none.
fn absolute(request: Request) -> Request {
    if request.uri().authority().is_some() {
        return request;
    }
    let url = format!("http://{HOST}{}", request.uri());
    request.into_builder().url(url).into()
}

fn ended(failed: JoinError) -> Error {
    match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Error::new("the server's task has ended before it"),
    }
}

/// RFC 6761 §6.2: no name of the network's.
const HOST: &str = "worker.test";
