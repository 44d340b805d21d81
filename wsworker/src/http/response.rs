//! A response: the one that a worker's `fetch` gives, and the one that another server gave.
//! Does not make a 101: only an `Upgrade` can.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::builder::header;
use super::request::Head;
use super::upgrade::{Accepted, Upgrade};
use super::url;
use crate::error::{Error, Result};
use crate::log::warn;
use crate::socket::{WebSocketEnd, WebSocketPair};

/// An HTTP response: what [`Worker::fetch`](crate::Worker::fetch) gives, and what
/// another server answers. [`ReadBody`](crate::ReadBody) reads the body of one.
///
/// ```
/// use wsworker::Response;
/// let page = Response::html("<h1>hello</h1>").header("cache-control", "no-store");
/// assert_eq!(page.status(), 200);
/// ```
pub struct Response {
    response: http::Response<Body>,
    accepted: Option<Accepted>,
    /// The connection that another server opened with this response.
    websocket: Option<WebSocketEnd>,
    /// Not made here: its headers may say what is not so.
    foreign: bool,
}

impl Response {
    /// An empty response with this status.
    ///
    /// # Errors
    /// The status is not between 200 and 599. A 101 comes from
    /// [`Upgrade::accept`](crate::Upgrade::accept) and
    /// [`Upgrade::respond`](crate::Upgrade::respond) alone.
    pub fn new(status: u16) -> Result<Self> {
        Self::with(None, Body::empty()).with_status(status)
    }

    /// Status 200 with a text.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::with(Some(TEXT), body.into().into())
    }

    /// Status 200 with an HTML page in UTF-8.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::with(Some(HTML), body.into().into())
    }

    /// Status 200 with this value as JSON.
    ///
    /// # Errors
    /// The value cannot be JSON, for instance a map whose keys are no texts.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let json = serde_json::to_vec(value)?;
        Ok(Self::with(Some(JSON), json.into()))
    }

    /// This status with a text for whoever asked. A `Result`, so that it can be
    /// what `fetch` returns: `_ => Response::error("Not found", 404)`.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn error(message: impl Into<Bytes>, status: u16) -> Result<Self> {
        Self::text(message).with_status(status)
    }

    /// Sends the client to another URL, which may be a path: with status 303
    /// after a form, 307 or 308 to repeat the request there, 301 or 302 for a page.
    ///
    /// # Errors
    /// The status is another one, or the URL cannot be a header.
    pub fn redirect(url: &str, status: u16) -> Result<Self> {
        if ![301, 302, 303, 307, 308].contains(&status) {
            return Err(Error::invalid(format!(
                "status {status} does not redirect: 301, 302, 303, 307 and 308 do"
            )));
        }
        let url = url::encode(url.as_bytes());
        Self::new(status)?.try_header(LOCATION.as_str(), &url)
    }

    /// Status 200 with a body that is sent as the stream gives it, each chunk
    /// when the one before it is on its way: [`Body::stream`].
    ///
    /// It has no `Content-Type` yet. If its length is known, `Content-Length`
    /// can be set; otherwise it goes out in chunks. While the stream has
    /// nothing to give no deadline runs. If it fails, that is logged and the
    /// connection cut.
    ///
    /// ```
    /// # use wsworker::{Response, Result};
    /// # fn f(events: impl futures_core::Stream<Item = Result<String>> + Send + 'static) {
    /// let feed = Response::stream(events).header("content-type", "text/event-stream");
    /// # }
    /// ```
    pub fn stream<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes> + 'static,
        E: Into<Error> + 'static,
    {
        Self::with(None, Body::stream(stream))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers. Of one that the worker made, those so far: the server adds
    /// `Date`, `Content-Length` and the like.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The first header of this name, in any case. `None` too if its value is
    /// not visible ASCII; [`headers`](Self::headers) has the bytes.
    pub fn header_str(&self, name: impl AsRef<str>) -> Option<&str> {
        self.response.headers().get(name.as_ref())?.to_str().ok()
    }

    /// The body, to be kept or sent on.
    pub fn into_body(self) -> Body {
        self.response.into_body()
    }

    /// Sets the status.
    ///
    /// # Errors
    /// It is not between 200 and 599, or this is the 101 of an upgrade.
    pub fn with_status(mut self, status: u16) -> Result<Self> {
        let status = final_status(status)?;
        if self.accepted.is_some() {
            let message = format!("the 101 that opens a WebSocket cannot be a {status}");
            return Err(Error::invalid(message));
        }
        *self.response.status_mut() = status;
        Ok(self)
    }

    /// Sets the body; a `Content-Length` was that of the one before, and goes.
    /// A 101 has none: there it is left out, with a warning in the log.
    pub fn with_body(mut self, body: impl Into<Body>) -> Self {
        match self.accepted {
            None => {
                self.headers_mut().remove(CONTENT_LENGTH);
                *self.response.body_mut() = body.into();
            }
            Some(_) => warn("a 101 has no body; what the worker set is left out"),
        }
        self
    }

    /// Sets a header, over one of the same name. Both halves may be any text: `&str`,
    /// `String`, an `http::HeaderName`.
    ///
    /// What frames the message is the server's and is left out, with a warning
    /// in the log: `Transfer-Encoding`, `Content-Length` but for a stream, and in
    /// a 101 `Connection`, `Upgrade` and all `Sec-WebSocket-*`.
    ///
    /// # Panics
    /// If the name or the value cannot be a header. For parts that are not
    /// constants use [`try_header`](Self::try_header).
    #[track_caller]
    pub fn header(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match self.try_header(name, value) {
            Ok(response) => response,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`header`](Self::header), for a name or a value that is not a constant.
    ///
    /// # Errors
    /// The name or the value cannot be a header.
    pub fn try_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Result<Self> {
        let (name, value) = header(name.as_ref(), value.as_ref())?;
        if self.is_reserved(&name) {
            warn(&format!(
                "the header '{name}' is the server's; what the worker set is left out"
            ));
        } else if name == CONTENT_LENGTH && number(&value).is_none() {
            return Err(Error::invalid("the value of 'content-length' is no number"));
        } else {
            self.response.headers_mut().insert(name, value);
        }
        Ok(self)
    }

    /// The WebSocket that whoever was asked opened with this response: a server, whose handshake
    /// was checked (RFC 6455 §4.1), or an object.
    #[cfg(feature = "client")]
    pub fn websocket(&self) -> Option<&WebSocketEnd> {
        let given = self.accepted.as_ref().and_then(|a| a.end.as_ref());
        self.websocket.as_ref().or(given)
    }

    /// Takes the WebSocket out, to be accepted.
    ///
    /// Returned from [`Worker::fetch`](crate::Worker::fetch) instead, the response
    /// joins the caller's client with that server, with the worker's server's limits
    /// on both sides.
    ///
    /// ```no_run
    /// # use wsworker::prelude::*;
    /// # async fn f() -> Result<()> {
    /// let response = wsworker::fetch("ws://example.com/feed").await?;
    /// let mut events = response.into_websocket()?.accept();
    /// events.send("hello")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`is_handshake`](crate::Error::is_handshake): the server didn't accept the
    /// WebSocket, or this 101 is the worker's own answer to its client. The error says what it
    /// answered: the status and, of a body of plain text or JSON that has come by now, the first
    /// line, up to 200 characters.
    #[cfg(feature = "client")]
    pub fn into_websocket(mut self) -> Result<WebSocketEnd> {
        let given = self.accepted.as_mut().and_then(|a| a.end.take());
        if let Some(websocket) = self.websocket.take().or(given) {
            return Ok(websocket);
        }
        if self.accepted.is_some() {
            let own = "this 101 is an answer of the worker's own: return it to the client";
            return Err(Error::handshake(own));
        }
        let status = self.status();
        let mut message = format!("server didn't accept WebSocket, it answered {status}");
        if let Some(line) = self.first_line() {
            message.push_str(": ");
            message.push_str(&line);
        }
        Err(Error::handshake(message))
    }

    /// The response that an error stands for, if it stands for one: its status
    /// and headers, its message as the text.
    pub(crate) fn rejection(error: &Error) -> Option<Self> {
        let status = error.status()?;
        let message = Bytes::copy_from_slice(error.message().as_bytes());
        let mut response = Self::text(message);
        *response.response.status_mut() = status;
        if let Some(headers) = error.rejection_headers() {
            response.response.headers_mut().extend(headers.clone());
        }
        Some(response)
    }

    /// The response of another server, as it came.
    pub(crate) fn from_http(response: http::Response<Body>) -> Self {
        Self {
            response,
            accepted: None,
            websocket: None,
            foreign: true,
        }
    }

    /// Splits off what the connection needs after a 101.
    pub(crate) fn into_parts_for_server(mut self) -> (http::Response<Body>, Option<Accepted>) {
        if self.foreign {
            self.reframe();
        }
        (self.response, self.accepted)
    }

    /// With the connection that it opened.
    #[cfg(feature = "client")]
    pub(crate) fn with_websocket(mut self, websocket: WebSocketEnd) -> Self {
        self.websocket = Some(websocket);
        self
    }

    /// The response as the answer to this request: if another server opened a
    /// WebSocket with it, or an object for a request of the worker's own, a 101 of our own
    /// that joins the two.
    ///
    /// # Errors
    /// The request asks for no WebSocket, or for a bad one; or the other server
    /// chose a subprotocol that this client did not offer.
    pub(crate) fn answering(mut self, request: &Arc<Head>) -> Result<Self> {
        let other = self.accepted.as_mut().filter(|a| a.is_of_another(request));
        let given = other.and_then(|a| a.end.take());
        let Some(websocket) = self.websocket.take().or(given) else {
            return Ok(self);
        };
        let upgrade = Upgrade::new(request)?;
        let upgrade = match websocket.protocol() {
            Some(protocol) => upgrade.protocol(protocol)?,
            None => upgrade.without_protocol(),
        };
        let mut response = upgrade.respond(websocket);
        let headers = std::mem::take(self.headers_mut());
        let mut name = None;
        for (next, value) in headers {
            // Of the same name as the one before, if it has none.
            name = next.or(name);
            if let Some(name) = name.clone().filter(|name| !response.is_reserved(name)) {
                response.headers_mut().append(name, value);
            }
        }
        Ok(response)
    }

    /// If it is a 101 whose WebSocket nobody has, gives it a pair's end: `listen`
    /// gets the other one, with the request.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn listened_to(
        mut self,
        listen: impl FnOnce(WebSocketEnd) -> Result<()>,
    ) -> Result<Self> {
        let Some(accepted) = self.accepted.as_mut().filter(|a| a.end.is_none()) else {
            return Ok(self);
        };
        let (mut client, server) = WebSocketPair::new();
        if let Some(protocol) = &accepted.protocol {
            client.agree(protocol);
        }
        accepted.end = Some(client);
        listen(server)?;
        Ok(self)
    }

    /// Its client has gone: a WebSocket that it opens is lost on its way.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn unsent(mut self) {
        if let Some(end) = self.accepted.as_mut().and_then(|a| a.end.as_mut()) {
            end.leave();
        }
    }

    pub(super) fn accepted(response: http::Response<Body>, accepted: Accepted) -> Self {
        Self {
            response,
            accepted: Some(accepted),
            websocket: None,
            foreign: false,
        }
    }

    pub(super) fn body_mut(&mut self) -> &mut Body {
        self.response.body_mut()
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.response.headers_mut()
    }

    fn with(content_type: Option<&'static str>, body: Body) -> Self {
        let mut response = http::Response::new(body);
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_static(content_type);
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        Self {
            response,
            accepted: None,
            websocket: None,
            foreign: false,
        }
    }

    /// What the body begins with, if that is text and there without waiting.
    #[cfg(feature = "client")]
    fn first_line(mut self) -> Option<String> {
        let kind = self.header_str(CONTENT_TYPE.as_str())?;
        let kind = kind.split(';').next()?.trim();
        let is_text = ["text/plain", JSON]
            .iter()
            .any(|k| kind.eq_ignore_ascii_case(k));
        let is_plain = is_text && !self.headers().contains_key(http::header::CONTENT_ENCODING);
        // A body that has not come starts a timer, which only a runtime has.
        if !is_plain || tokio::runtime::Handle::try_current().is_err() {
            return None;
        }
        let chunk = self.body_mut().chunk_at_once()?;
        let start = String::from_utf8_lossy(&chunk[..chunk.len().min(4 * LINE)]);
        let line = start.trim_start().chars();
        // Nor any other control character, which a terminal might obey.
        let line: String = line.take_while(|c| !c.is_control()).take(LINE).collect();
        Some(line).filter(|line| !line.is_empty())
    }

    fn is_reserved(&self, name: &HeaderName) -> bool {
        let opens =
            [CONNECTION, UPGRADE].contains(name) || name.as_str().starts_with("sec-websocket-");
        *name == TRANSFER_ENCODING
            || (*name == CONTENT_LENGTH && self.response.body().length().is_some())
            || (opens && self.accepted.is_some())
    }

    /// Takes out what frames the message otherwise than its body does.
    fn reframe(&mut self) {
        let length = self.response.body().length();
        let headers = self.response.headers_mut();
        headers.remove(TRANSFER_ENCODING);
        let mut said = headers.get_all(CONTENT_LENGTH).iter();
        let one = said.next().filter(|_| said.next().is_none());
        // One of an empty body may answer HEAD; to anything else hyper says 0.
        if one.and_then(number).is_none() || length.is_some_and(|length| length > 0) {
            headers.remove(CONTENT_LENGTH);
        }
        // RFC 9110 §7.8: whoever says what to upgrade to names it in `Connection`.
        if headers.contains_key(UPGRADE) {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status())
    }
}

/// What a worker may answer with: no 1xx, which is no final answer.
pub(super) fn final_status(status: u16) -> Result<StatusCode> {
    match StatusCode::from_u16(status) {
        Ok(found) if (200..600).contains(&status) => Ok(found),
        Ok(StatusCode::SWITCHING_PROTOCOLS) => Err(Error::invalid(
            "a 101 comes from `req.upgrade()?.accept()` or `.respond(client)`",
        )),
        _ => Err(Error::invalid(format!(
            "status {status} cannot be a response's: 200 to 599 can"
        ))),
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    // Digits alone (RFC 9110 §8.6): `parse` takes a sign too.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Characters of a refusal that an error shows.
#[cfg(feature = "client")]
const LINE: usize = 200;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
