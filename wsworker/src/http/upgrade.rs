//! A valid request for a WebSocket, and the way to its 101.
//! Does not start the connection: the server does, once the 101 is sent.

use std::fmt;
use std::sync::Arc;

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderValue, StatusCode};

use super::body::Body;
use super::request::Head;
use super::response::Response;
use crate::error::{Error, Result};
use crate::protocol::handshake;
use crate::socket::WebSocketEnd;

/// A request for a WebSocket that was found valid; [`accept`](Self::accept) or
/// [`respond`](Self::respond) answers it. Dropped without that, it does nothing.
#[must_use = "the WebSocket opens only if the response of `accept()` or `respond()` is returned from `fetch`"]
pub struct Upgrade {
    head: Arc<Head>,
    accept: HeaderValue,
    protocol: Option<Box<str>>,
}

/// What an accepted upgrade leaves for the connection.
pub(crate) struct Accepted {
    pub(crate) request: Arc<Head>,
    pub(crate) protocol: Option<Box<str>>,
    /// The end whose other side the client becomes; if none, the worker gets the events.
    pub(crate) end: Option<WebSocketEnd>,
}

impl Accepted {
    /// Would the 101 be a wrong answer to this request?
    pub(super) fn is_of_another(&self, request: &Head) -> bool {
        let key = |head: &Head| head.headers.get(SEC_WEBSOCKET_KEY).cloned();
        key(&self.request) != key(request)
    }
}

impl Upgrade {
    pub(super) fn new(head: &Arc<Head>) -> Result<Self> {
        let accept = handshake::validate(&head.method, head.version, &head.headers)?;
        let offered = handshake::offered(&head.headers)?;
        let protocol = handshake::choose(&head.protocols, &offered).map(Box::from);
        Ok(Self {
            head: head.clone(),
            accept,
            protocol,
        })
    }

    /// Chooses a subprotocol, over the one that was chosen from the settings:
    /// the first of [`Server::protocols`](crate::Server::protocols) that was offered.
    ///
    /// # Errors
    /// The client did not offer it. Sent all the same, it would make the client
    /// fail the connection (RFC 6455 §4.1).
    pub fn protocol(mut self, name: &str) -> Result<Self> {
        let offered = self.protocols();
        if !offered.contains(&name) {
            let seen = match *offered {
                [] => "nothing was".to_owned(),
                _ => format!("offered: {}", offered.join(", ")),
            };
            return Err(Error::invalid(format!(
                "subprotocol '{name}' was not offered by the client; {seen}"
            )));
        }
        self.protocol = Some(name.into());
        Ok(self)
    }

    /// Chooses none, whatever the settings say.
    pub(super) fn without_protocol(mut self) -> Self {
        self.protocol = None;
        self
    }

    /// The subprotocols that the client offers, in its order of preference.
    pub fn protocols(&self) -> Vec<&str> {
        handshake::offered(&self.head.headers).expect("`new` has checked the offers")
    }

    /// The 101 response. Returned from `fetch` it opens the WebSocket, and the
    /// worker's callbacks get its events.
    pub fn accept(self) -> Response {
        self.answer(None)
    }

    /// The 101 response, with an end of a [`WebSocketPair`](crate::WebSocketPair)
    /// for the client: returned from `fetch`, whoever accepted the other end talks
    /// to the client, before or after. The worker's callbacks hear nothing of it.
    ///
    /// What the other end sent already goes out behind the 101. If the client
    /// does not wait for the response, the other end hears a close with 1006; if
    /// the response is dropped, one with 1011.
    ///
    /// ```
    /// # use wsworker::prelude::*;
    /// # use wsworker::{Event, WebSocketPair};
    /// # async fn fetch(req: Request) -> Result<Response> {
    /// let upgrade = req.upgrade()?;
    /// let (client, server) = WebSocketPair::new();
    /// let mut events = server.accept();
    /// tokio::spawn(async move {
    ///     while let Some(Event::Message(message)) = events.next().await {
    ///         events.send(message)?;
    ///     }
    ///     Ok::<_, Error>(())
    /// });
    /// Ok(upgrade.respond(client))
    /// # }
    /// ```
    pub fn respond(self, client: WebSocketEnd) -> Response {
        self.answer(Some(client))
    }

    fn answer(self, mut end: Option<WebSocketEnd>) -> Response {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.reserve(4);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = &self.protocol {
            let value = HeaderValue::from_str(protocol).expect("an offered protocol is a token");
            headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
            if let Some(end) = &mut end {
                end.agree(protocol);
            }
        }
        let accepted = Accepted {
            request: self.head,
            protocol: self.protocol,
            end,
        };
        Response::accepted(response, accepted)
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Upgrade");
        shown.field("path", &self.head.uri.path());
        shown.field("protocol", &self.protocol).finish()
    }
}
