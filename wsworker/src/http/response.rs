//! A response: the one that a worker's `fetch` gives, and the one that another server gave.
//! Does not make a 101: only an `Upgrade` can.

use std::fmt;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::body::Body;
use super::builder::header;
use super::upgrade::Accepted;
use crate::error::{Error, Result};

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
}

impl Response {
    /// An empty response with this status.
    ///
    /// # Errors
    /// The status is not between 200 and 599. A 101 comes from
    /// [`Upgrade::accept`](crate::Upgrade::accept) alone.
    pub fn new(status: u16) -> Result<Self> {
        Ok(Self::with(Self::final_status(status)?, None, Bytes::new()))
    }

    /// Status 200 with a text.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::with(StatusCode::OK, Some(TEXT), body.into())
    }

    /// Status 200 with an HTML page in UTF-8.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::with(StatusCode::OK, Some(HTML), body.into())
    }

    /// This status with a text for whoever asked. A `Result`, so that it can be
    /// what `fetch` returns: `_ => Response::error("Not found", 404)`.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn error(message: impl Into<Bytes>, status: u16) -> Result<Self> {
        let status = Self::final_status(status)?;
        Ok(Self::with(status, Some(TEXT), message.into()))
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers so far; the server adds `Date` and the like.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Sets a header, over one of the same name.
    ///
    /// What frames the message is the server's and is left out, with a warning
    /// in the log: `Content-Length` and `Transfer-Encoding`, and in a 101
    /// `Connection`, `Upgrade` and all `Sec-WebSocket-*`.
    ///
    /// # Panics
    /// If the name or the value cannot be a header. For parts that are not
    /// constants use [`try_header`](Self::try_header).
    #[track_caller]
    pub fn header(self, name: &str, value: &str) -> Self {
        match self.try_header(name, value) {
            Ok(response) => response,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`header`](Self::header), for a name or a value that is not a constant.
    ///
    /// # Errors
    /// The name or the value cannot be a header.
    pub fn try_header(self, name: &str, value: &str) -> Result<Self> {
        let (name, value) = header(name, value)?;
        Ok(self.set(name, value))
    }

    /// The body, to be kept or sent on.
    pub fn into_body(self) -> Body {
        self.response.into_body()
    }

    /// The response of another server, as it came.
    pub(crate) fn from_http(response: http::Response<Body>) -> Self {
        Self {
            response,
            accepted: None,
        }
    }

    pub(super) fn body_mut(&mut self) -> &mut Body {
        self.response.body_mut()
    }

    /// The response that an error stands for, if it stands for one: its status
    /// and headers, its message as the text.
    pub(crate) fn rejection(error: &Error) -> Option<Self> {
        let message = Bytes::copy_from_slice(error.message().as_bytes());
        let mut response = Self::with(error.status()?, Some(TEXT), message);
        if let Some(headers) = error.rejection_headers() {
            response.response.headers_mut().extend(headers.clone());
        }
        Some(response)
    }

    /// Splits off what the connection needs after a 101.
    pub(crate) fn into_parts_for_server(self) -> (http::Response<Body>, Option<Accepted>) {
        (self.response, self.accepted)
    }

    pub(super) fn accepted(response: http::Response<Body>, accepted: Accepted) -> Self {
        Self {
            response,
            accepted: Some(accepted),
        }
    }

    fn with(status: StatusCode, content_type: Option<&'static str>, body: Bytes) -> Self {
        let mut response = http::Response::new(Body::from(body));
        *response.status_mut() = status;
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_static(content_type);
            response.headers_mut().insert(CONTENT_TYPE, value);
        }
        Self {
            response,
            accepted: None,
        }
    }

    /// What a worker may answer with: no 1xx, which is no final answer.
    pub(super) fn final_status(status: u16) -> Result<StatusCode> {
        match StatusCode::from_u16(status) {
            Ok(found) if (200..600).contains(&status) => Ok(found),
            _ => Err(Error::invalid(format!(
                "status {status} cannot be a response's: 200 to 599 can"
            ))),
        }
    }

    fn is_reserved(&self, name: &HeaderName) -> bool {
        let frames = [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
        let opens =
            [CONNECTION, UPGRADE].contains(name) || name.as_str().starts_with("sec-websocket-");
        frames || (opens && self.accepted.is_some())
    }

    fn set(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if self.is_reserved(&name) {
            tracing::warn!(%name, "this header is the server's; what the worker set is left out");
        } else {
            self.response.headers_mut().insert(name, value);
        }
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.status())
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::{Head, Request};

    fn upgrade() -> crate::http::Upgrade {
        let headers = [
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "v1, v2, v3"),
        ];
        let pairs = headers.map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        let head = Head {
            method: http::Method::GET,
            uri: "/room?x=1".parse().unwrap(),
            version: http::Version::HTTP_11,
            headers: pairs.into_iter().collect(),
            extensions: http::Extensions::new(),
            remote_addr: None,
            protocols: Arc::new(["v2".into(), "v1".into()]),
        };
        Request::of(Arc::new(head), Body::empty())
            .upgrade()
            .unwrap()
    }

    #[test]
    fn a_101_has_its_four_headers_and_keeps_them() {
        let mut response = upgrade().accept();
        let before = response.headers().clone();
        assert_eq!(response.status(), 101);
        assert_eq!(before["sec-websocket-protocol"], "v2");
        assert_eq!(
            before["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        for name in [
            "Connection",
            "upgrade",
            "Sec-WebSocket-Extensions",
            "Content-Length",
        ] {
            response = response.header(name, "x");
        }
        assert_eq!(*response.headers(), before);
        assert_eq!(
            response.header("set-cookie", "a=b").headers().len(),
            before.len() + 1
        );
    }

    #[test]
    fn only_an_offered_protocol_can_be_chosen() {
        let chosen = upgrade().protocol("v3").unwrap().accept();
        assert_eq!(chosen.headers()["sec-websocket-protocol"], "v3");
        let error = upgrade().protocol("v4").unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().contains("'v4'"));
    }

    #[test]
    fn only_final_statuses_can_be_given() {
        for status in [0, 100, 101, 199, 600, 999] {
            assert!(Response::new(status).is_err(), "{status}");
        }
        assert_eq!(Response::error("no", 404).unwrap().status(), 404);
    }

    #[test]
    fn a_bad_header_is_an_error_that_does_not_show_its_value() {
        assert!(Response::text("").try_header("a b", "x").is_err());
        let error = Response::text("").try_header("x", "secret\n").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
