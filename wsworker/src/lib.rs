//! Real-time servers in the Workers model: a *worker* answers `fetch`, upgrades
//! a request to a [`WebSocket`], and gets its messages as events.
//!
//! ```no_run
//! use wsworker::prelude::*;
//!
//! #[worker]
//! #[derive(Clone)]
//! struct Echo;
//!
//! impl Worker for Echo {
//!     async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
//!         ws.send(message)
//!     }
//! }
//!
//! fn main() -> Result<()> {
//!     wsworker::run(Echo) // 127.0.0.1:8787, or WSWORKER_ADDR; Ctrl-C drains
//! }
//! ```
//!
//! - [`Worker`] is the trait to implement; [`worker`](macro@worker) the attribute
//!   that goes with it, and where limits can be set.
//! - [`run`] owns the process: a thread for each core, settings from the
//!   environment, signals. [`Server`] serves inside a runtime of your own, where
//!   settings and signals are yours.
//! - [`Request`], [`Response`] and their [`Body`] are what `fetch` gets and
//!   gives: pages, JSON, streams, cookies; [`Router`] finds a path's route, and
//!   [`Env`] has variables and secrets.
//! - [`WebSocket`] is what callbacks get: send, close, ask, from any thread.
//! - [`fetch`](fn@fetch) asks other servers; [`Client`] does so with other settings.
//! - Every limit has a documented default; a peer can never make the process
//!   panic, hang or hold memory without bound.
//!
//! # Features
//!
//! - `client`, on by default: [`fetch`](fn@fetch) and [`Client`], requests and
//!   WebSockets to other servers.
//! - `objects`: Durable Objects, [`durable_object`](macro@durable_object), with
//!   their storage in SQLite.
//! - `tls`: `https` and `wss`, for servers (`Server::tls`, `WSWORKER_TLS_CERT` and
//!   `WSWORKER_TLS_KEY`) and for [`fetch`](fn@fetch), which then speaks HTTP/2 too.
//! - `dev-cert`: `Tls::self_signed`, certificates made on the spot for development.
//!   Turns `tls` on.
//! - `testing`: the module `testing`, tests of a worker without a port. Turns
//!   `client` on.

#[cfg(all(any(doc, doctest), feature = "client"))]
pub mod docs;
pub mod prelude;

#[doc(hidden)]
pub mod __private;
mod alone;
#[cfg(feature = "client")]
mod client;
mod connection;
mod env;
mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod http;
mod log;
#[cfg(feature = "objects")]
mod object;
mod protocol;
mod server;
mod socket;
mod spawn;
#[cfg(feature = "objects")]
#[cfg_attr(docsrs, doc(cfg(feature = "objects")))]
pub mod storage;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
mod wire;
mod worker;

pub use cookie;
#[cfg(not(feature = "objects"))]
#[doc(hidden)]
pub use wsworker_macros::durable_object_without_feature as durable_object;
pub use wsworker_macros::worker;
#[cfg(feature = "objects")]
#[cfg_attr(docsrs, doc(cfg(feature = "objects")))]
pub use wsworker_macros::{call, durable_object};

#[cfg(feature = "client")]
pub use crate::client::{Client, ClientBuilder, Redirect, fetch};
pub use crate::connection::{Slow, SocketEvent as Event, State};
pub use crate::env::{Env, Secret};
pub use crate::error::{Error, Result};
pub use crate::http::{Body, Params, ReadBody, Request, RequestBuilder, Response, Router, Upgrade};
#[cfg(feature = "objects")]
#[cfg_attr(docsrs, doc(cfg(feature = "objects")))]
pub use crate::object::{
    AlarmInfo, Cursor, DurableObject, ListOptions, Namespace, ObjectContext, ObjectId,
    ObjectStorage, Sockets, Sql, SqlParams, Stub,
};
pub use crate::protocol::close::{CloseCode, CloseEvent};
pub use crate::protocol::message::Message;
#[cfg(feature = "tls")]
pub use crate::server::Tls;
pub use crate::server::{Address, Listening, Server, ServerHandle, run};
pub use crate::socket::{
    SocketId, WebSocket, WebSocketEnd, WebSocketEvents, WebSocketPair, broadcast,
};
pub use crate::spawn::spawn;
#[cfg(feature = "objects")]
#[cfg_attr(docsrs, doc(cfg(feature = "objects")))]
pub use crate::storage::SqlValue;
pub use crate::worker::Worker;

/// The programs in README.md compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The program in the documentation of `#[durable_object]` compiles.
#[cfg(all(doctest, feature = "objects"))]
#[doc = include_str!("../../wsworker-macros/src/durable_object.md")]
struct DurableObjectAttribute;
