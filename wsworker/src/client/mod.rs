//! `fetch`: requests and WebSockets to other servers.
//! Does not speak HTTP itself: hyper does. What is here is which connection a
//! request goes over, what may go out and what comes back.
//!
//! `target` is a checked URL; `connect` opens a stream to it, past `address` and
//! through `tls`; `plain` sends requests over `pool`'s connections, on streams that
//! are `heard` to their end, and follows redirects by the rules of `redirect`;
//! `upgrade` opens WebSockets, each over a connection of its own.

mod address;
mod body;
mod connect;
mod headers;
mod heard;
#[cfg(feature = "testing")]
mod place;
mod plain;
mod pool;
mod redirect;
mod reference;
mod settings;
mod target;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

use std::fmt;
use std::sync::{Arc, LazyLock};

use self::connect::Connector;
use self::pool::Pools;
pub use self::redirect::Redirect;
pub use self::settings::ClientBuilder;
use self::settings::Settings;
use self::target::Target;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::protocol::handshake;

/// Sends a request to another server, with the default settings of a [`Client`].
///
/// A request with `Upgrade: websocket`, or to a `ws` or `wss` URL, opens a
/// WebSocket. The settings, what is sent and what is an error are [`Client`]'s.
///
/// ```no_run
/// use wsworker::prelude::*;
///
/// # async fn f() -> Result<()> {
/// let page = wsworker::fetch("http://example.com/").await?.text().await?;
///
/// let order = wsworker::Request::post("http://example.com/orders").json(&["tea"]);
/// let response = wsworker::fetch(order).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As for [`Client::fetch`].
pub async fn fetch(request: impl Into<Request>) -> Result<Response> {
    static SHARED: LazyLock<Client> = LazyLock::new(Client::new);
    SHARED.fetch(request).await
}

/// Sends requests to other servers, with settings of its own.
///
/// Cheap to clone; clones share their connections. Each tokio runtime has its
/// own, so one client serves all threads of [`run`](crate::run), and outlives
/// any runtime. Must be used in a tokio runtime, as a worker's callbacks are.
///
/// **Plain requests** go over HTTP/1.1 connections that are kept and used again,
/// or over HTTP/2 where a server of `https` prefers it. Up to 10 redirects are
/// followed ([`ClientBuilder::redirect`]).
///
/// **A WebSocket** is asked for by `Upgrade: websocket` in the request or by a
/// URL of `ws` or `wss`: over HTTP/1.1, with GET, without a body, over a
/// connection of its own. A redirect is not followed but given back. The
/// subprotocols to offer are the request's `Sec-WebSocket-Protocol`.
///
/// **URLs** are absolute: `http`, `https`, `ws` or `wss`. One with a user or a
/// password in it is refused; send an `Authorization`. A fragment is not sent.
/// `https` and `wss` need this crate's feature `tls`.
///
/// **Headers** that are a connection's own are set here, and what a request says
/// in them is left out, so that a request that a worker got can be sent on:
/// `Host` (the URL's), `Connection` and those that it names, `Keep-Alive`,
/// `Proxy-*`, `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`, and for a
/// WebSocket `Sec-WebSocket-Key`, `-Version` and `-Extensions`. A WebSocket
/// request that was sent on, which is one with a `Sec-WebSocket-Key`, loses its
/// `Origin` too: it was checked where it came in. The same headers of a response
/// are left out of it. A response is not decompressed. Proxies named in the
/// environment are not used.
///
/// **Private addresses**: a client that fetches what its users name should be
/// built with [`ClientBuilder::refuse_private_addresses`].
///
/// ```
/// use std::time::Duration;
/// use wsworker::Client;
///
/// # fn main() -> wsworker::Result<()> {
/// let client = Client::builder()
///     .response_timeout(Duration::from_secs(5))
///     .refuse_private_addresses(true)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    connector: Arc<Connector>,
    pools: Arc<Pools>,
}

impl Client {
    /// A client with the default settings.
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    /// A client with other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Sends a request and gives the response, once its head is there; the body
    /// is read from it. A response of any status is `Ok`. The future does not
    /// borrow the client, so that it can be spawned.
    ///
    /// A dropped call leaves nothing behind: the connection that the request was
    /// on is closed (of HTTP/2 its stream), as is that of a response whose body is
    /// dropped before its end.
    ///
    /// # Errors
    /// - What was wrong with the request when it was made, a URL that cannot be
    ///   fetched, or subprotocols that are no tokens: [`Error::is_invalid`].
    /// - No response: the server cannot be reached or trusted, breaks off or
    ///   answers with something else than HTTP, or with more than 100 interim
    ///   responses (1xx), or there are too many redirects:
    ///   [`Error::is_fetch`]; among these, a limit of time that has passed is
    ///   [`Error::is_timeout`] and a refused address [`Error::is_private_address`].
    /// - The request's body failed: its own error. Of a body that a client sent, it
    ///   stands for the response that says so, as for [`ReadBody`](crate::ReadBody#errors).
    /// - A request for a WebSocket that a worker got and sends on, and that is none:
    ///   the error stands for the response that says so ([`Error::status`]).
    /// - A 101 that opens no WebSocket by RFC 6455 §4.1: [`Error::is_handshake`].
    /// - `https` without the feature `tls`, or no tokio runtime: [`Error::is_config`].
    pub fn fetch<R: Into<Request>>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<Response>> + Send + use<R> {
        let (client, request) = (self.inner.clone(), request.into());
        // Boxed: hyper's state is large, and would make each callback's future so.
        Box::pin(async move { client.fetch(request).await })
    }

    fn with(settings: Settings) -> Self {
        let connector = Arc::new(Connector::new(&settings));
        let pools = Arc::new(Pools::new(&settings, connector.clone()));
        Self {
            inner: Arc::new(Inner {
                settings,
                connector,
                pools,
            }),
        }
    }
}

impl Inner {
    async fn fetch(&self, request: Request) -> Result<Response> {
        let request = request.into_http()?;
        let target = Target::new(request.uri())?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::config(
                "fetch needs a tokio runtime: call it in a worker's callback, in a task, \
                 or in the future that a runtime runs",
            ));
        }
        #[cfg(feature = "objects")]
        crate::object::settle_running().await?;
        if target.is_socket() || handshake::is_upgrade(request.headers()) {
            return upgrade::open(self, &target, request).await;
        }
        plain::fetch(self, target, request).await
    }
}

/// Refuses what would need TLS, where this crate was built without it.
fn check_tls(target: &Target) -> Result<()> {
    if cfg!(feature = "tls") || !target.is_secure() {
        return Ok(());
    }
    Err(Error::config(format!(
        "{target} needs TLS: build wsworker with the feature `tls`"
    )))
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
