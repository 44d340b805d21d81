//! To and from the `http` crate's types.
//! Does not copy: parts are moved.

use std::sync::Arc;

use super::body::Body;
use super::request::{Head, Request};
use super::response::{Response, final_status};
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
            secure: false,
            protocols: Arc::default(),
            // It may have come from a client.
            made_here: false,
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
        final_status(response.status().as_u16())?;
        Ok(Response::from_http(response.map(Into::into)))
    }
}

/// A 101 is its head alone then: it opens no WebSocket.
impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> Self {
        response.into_parts_for_server().0
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_request_goes_there_and_back() {
        let mut made = http::Request::post("http://a/b?c").body("text").unwrap();
        made.headers_mut().insert("x", "1".parse().unwrap());
        made.extensions_mut().insert(7_u8);
        let request = Request::from(made);
        assert_eq!(request.url(), "http://a/b?c");
        let back = http::Request::<Body>::from(request);
        assert_eq!(back.method(), "POST");
        assert_eq!(back.uri(), "http://a/b?c");
        assert_eq!(back.headers()["x"], "1");
        assert_eq!(back.extensions().get(), Some(&7_u8));
        assert_eq!(format!("{:?}", back.body()), "Body(4 bytes)");
    }

    #[test]
    fn a_response_that_is_final_can_be_given() {
        let made = |status: u16| {
            let made = http::Response::builder().status(status);
            made.body(Bytes::from("x")).unwrap()
        };
        assert_eq!(Response::try_from(made(404)).unwrap().status(), 404);
        for status in [100, 101, 103, 199, 600, 999] {
            assert!(Response::try_from(made(status)).is_err(), "{status}");
        }
    }

    #[test]
    fn what_frames_a_foreign_response_is_its_body() {
        let lengths = |body: &'static str, said: &[&'static str]| {
            let mut made = http::Response::new(body);
            for said in said {
                let value = http::HeaderValue::from_static(said);
                made.headers_mut().append("content-length", value);
            }
            let chunked = http::HeaderValue::from_static("chunked");
            made.headers_mut().insert("transfer-encoding", chunked);
            let made = http::Response::from(Response::try_from(made).unwrap());
            assert!(!made.headers().contains_key("transfer-encoding"));
            let kept = made.headers().get_all("content-length").iter().count();
            assert_eq!(made.status(), StatusCode::OK);
            kept
        };
        assert_eq!(lengths("four", &["5"]), 0);
        assert_eq!(lengths("", &["5"]), 1, "as HEAD is answered");
        assert_eq!(lengths("", &["5", "5"]), 0);
        assert_eq!(lengths("", &["x"]), 0);
    }
}
