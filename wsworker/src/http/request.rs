//! The request that a worker's `fetch` gets.
//! Does not judge the handshake: `upgrade` asks `protocol`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri, Version};

use super::upgrade::Upgrade;
use crate::error::Result;
use crate::protocol::handshake;

/// An HTTP request, as [`Worker::fetch`](crate::Worker::fetch) gets it.
///
/// After an upgrade its head is there in
/// [`Worker::on_open`](crate::Worker::on_open) too, and is freed when that returns.
pub struct Request {
    head: Arc<Head>,
}

/// What stays of a request until `on_open` has returned.
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) remote_addr: Option<SocketAddr>,
    /// The server's subprotocols in its order of preference.
    pub(crate) protocols: Arc<[Box<str>]>,
}

impl Request {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The path, without the query: `/room/7`. As it was sent: not percent-decoded.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// The request's target: a path and a query, or a whole URI if a proxy sent one.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first header of this name, in any case. `None` too if its value is
    /// not visible ASCII; [`headers`](Self::headers) has the bytes.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Where the request came from: the TCP peer, or, if that is one of
    /// [`Server::trusted_proxies`](crate::Server::trusted_proxies), the client
    /// that it names (with port 0 if it names none). `None` over a Unix socket
    /// that no trusted proxy uses.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.head.remote_addr
    }

    /// Does the request ask for a WebSocket? It may still be a bad one, which
    /// [`upgrade`](Self::upgrade) finds.
    pub fn is_upgrade(&self) -> bool {
        handshake::is_upgrade(&self.head.headers)
    }

    /// Checks that this is a valid request for a WebSocket (RFC 6455 §4.2.1).
    ///
    /// # Errors
    /// One that stands for the right response, so `?` in `fetch` answers it:
    /// 405 if it is no GET, 426 if it asks for no WebSocket or for another
    /// version than 13, 400 if anything else is wrong with it.
    pub fn upgrade(&self) -> Result<Upgrade> {
        Upgrade::new(&self.head)
    }

    pub(crate) fn new(head: Arc<Head>) -> Self {
        Self { head }
    }
}

/// Method and path alone: headers and the query may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method(), self.path())
    }
}
