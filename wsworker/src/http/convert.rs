//! To and from the `http` crate's types.
//! Does not copy: parts are moved.

use std::sync::Arc;

use super::body::Body;
use super::request::{Head, Request};
use super::response::Response;
use crate::error::{Error, Result};

/// Its version and extensions stay with it.
impl<B: Into<Body>> From<http::Request<B>> for Request {
    fn from(request: http::Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        let head = Head {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers,
            extensions: parts.extensions,
            remote_addr: None,
            protocols: Arc::default(),
        };
        Request::of(Arc::new(head), body.into())
    }
}

/// What is wrong with a request that was made wrongly is lost; ask
/// [`RequestBuilder::build`](crate::RequestBuilder::build) first.
impl From<Request> for http::Request<Body> {
    fn from(request: Request) -> Self {
        let (head, body, _) = request.into_parts();
        let mut request = http::Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.uri;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        *request.extensions_mut() = head.extensions;
        request
    }
}

impl<B: Into<Body>> TryFrom<http::Response<B>> for Response {
    type Error = Error;

    /// # Errors
    /// The status is a 1xx, which is no answer yet; a 101 comes from
    /// [`Upgrade::accept`](crate::Upgrade::accept) alone.
    fn try_from(response: http::Response<B>) -> Result<Self> {
        Response::final_status(response.status().as_u16())?;
        Ok(Response::from_http(response.map(Into::into)))
    }
}

/// A 101 is its head alone then: it opens no WebSocket.
impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        response.into_parts_for_server().0
    }
}
