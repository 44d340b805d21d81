//! A request: the one that a worker's `fetch` gets, and the one that goes to another server.
//! Does not judge the handshake: `upgrade` asks `protocol`. `builder` makes requests.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri, Version};

use super::body::Body;
use super::builder::RequestBuilder;
use super::upgrade::Upgrade;
use crate::error::{Error, Result};
use crate::protocol::handshake;

/// An HTTP request: what [`Worker::fetch`](crate::Worker::fetch) gets, and what
/// is sent to another server.
///
/// [`ReadBody`](crate::ReadBody) reads its body: `req.json().await?`. After an
/// upgrade the request is there in [`Worker::on_open`](crate::Worker::on_open)
/// too, without a body, and is freed when that returns.
///
/// One to send is made by [`get`](Self::get), [`post`](Self::post) and the like.
pub struct Request {
    head: Arc<Head>,
    body: Body,
    /// What was wrong when it was made; whoever sends it says so.
    fault: Option<Error>,
}

/// What stays of a request until `on_open` has returned.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) remote_addr: Option<SocketAddr>,
    /// It came over TLS, to us or to a trusted proxy.
    pub(crate) secure: bool,
    /// The server's subprotocols in its order of preference.
    pub(crate) protocols: Arc<[Box<str>]>,
    /// By code of this process: no client has sent it.
    #[cfg_attr(not(all(feature = "client", feature = "objects")), allow(dead_code))]
    pub(crate) made_here: bool,
}

impl Head {
    /// Of a request that goes out.
    #[cfg(feature = "client")]
    pub(crate) fn sent(request: &http::Request<Body>, secure: bool) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            secure,
            ..Self::bare()
        }
    }

    /// Of a connection that no request opened.
    pub(crate) fn bare() -> Self {
        Self {
            method: Method::GET,
            uri: Uri::from_static("/"),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            remote_addr: None,
            secure: false,
            protocols: Arc::new([]),
            made_here: false,
        }
    }
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

    /// The request's target. Of one that a worker gets it is a path and a query, or
    /// `*` for OPTIONS of the whole server; of one to send, a whole URL.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// The URL that was asked for, as `https://chat.example/room/7?x=1`: with the
    /// scheme and the host that the client used, as far as they are known (from
    /// `Host`, and from a trusted proxy's `Forwarded` or `X-Forwarded-Proto`).
    pub fn url(&self) -> String {
        let uri = &self.head.uri;
        if uri.scheme().is_some() {
            return uri.to_string();
        }
        let scheme = if self.head.secure { "https" } else { "http" };
        match (uri.authority(), self.header("host")) {
            (Some(_), _) => uri.to_string(),
            // Of the whole server: `OPTIONS *`.
            (None, Some(host)) if uri.path() == "*" => format!("{scheme}://{host}"),
            (None, Some(host)) => format!("{scheme}://{host}{uri}"),
            (None, None) => uri.to_string(),
        }
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The first header of this name, in any case. `None` too if its value is
    /// not visible ASCII; [`headers`](Self::headers) has the bytes.
    pub fn header(&self, name: impl AsRef<str>) -> Option<&str> {
        self.head.headers.get(name.as_ref())?.to_str().ok()
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

    /// The body, to be kept or sent on; an upgrade has none.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The same request, to be changed: `req.into_builder().url("http://upstream/")`.
    /// What its `Connection` names is left out, but for `Upgrade`, so that its client
    /// has no say over headers that are set here.
    pub fn into_builder(self) -> RequestBuilder {
        RequestBuilder::from(self)
    }

    /// As it goes to a server; the error that the making of it kept, if any.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn into_http(self) -> Result<http::Request<Body>> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.into()),
        }
    }

    /// As it goes to an object. One for a WebSocket that was made here gets the rest of a
    /// handshake's headers, as a client would send them.
    ///
    /// # Errors
    /// What was wrong when it was made.
    #[cfg(feature = "objects")]
    pub(crate) fn into_called(mut self) -> Result<Self> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        #[cfg(feature = "client")]
        if self.head.made_here && self.is_upgrade() && !handshake::is_sent_on(self.headers()) {
            handshake::Asked::with_headers(&mut Arc::make_mut(&mut self.head).headers)?;
        }
        Ok(self)
    }

    pub(crate) fn shared_head(&self) -> &Arc<Head> {
        &self.head
    }

    pub(crate) fn of(head: Arc<Head>, body: Body) -> Self {
        Self {
            head,
            body,
            fault: None,
        }
    }

    pub(super) fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    pub(super) fn with_fault(mut self, fault: Option<Error>) -> Self {
        self.fault = fault;
        self
    }

    /// Its parts; the head is shared while an `Upgrade` of it lives.
    pub(super) fn into_parts(self) -> (Head, Body, Option<Error>) {
        (Arc::unwrap_or_clone(self.head), self.body, self.fault)
    }
}

/// Method and path alone: headers and the query may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method(), self.path())
    }
}
