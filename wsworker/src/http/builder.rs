//! Making a request to send.
//! Does not send it, and does not stop at a mistake: the request keeps it for whoever sends it.

use std::fmt;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use serde::Serialize;

use super::body::Body;
use super::request::{Head, Request};
use super::url;
use crate::error::{Error, Result};

/// A request that is being made: `Request::get(url).header("accept", "text/html")`.
///
/// Nothing here fails or panics. A mistake, such as a URL that is none, stays
/// with the request, and sending it is the error; [`build`](Self::build) gives
/// it before that.
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    head: Head,
    body: Body,
    /// The first mistake.
    fault: Option<Error>,
}

impl Request {
    /// A request to send, with this method: `Request::new("PROPFIND", url)`.
    #[expect(clippy::new_ret_no_self, reason = "a request is made in steps")]
    pub fn new(method: impl AsRef<str>, url: impl AsRef<str>) -> RequestBuilder {
        let (method, url) = (method.as_ref(), url.as_ref());
        match Method::from_bytes(method.as_bytes()) {
            Ok(method) => RequestBuilder::new(method, url),
            Err(_) => RequestBuilder::new(Method::GET, url)
                .failed(Error::invalid(format!("{method:?} cannot be a method"))),
        }
    }

    /// A GET of this URL.
    pub fn get(url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Method::GET, url.as_ref())
    }

    /// A HEAD of this URL.
    pub fn head(url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Method::HEAD, url.as_ref())
    }

    /// A POST to this URL.
    pub fn post(url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Method::POST, url.as_ref())
    }

    /// A PUT to this URL.
    pub fn put(url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Method::PUT, url.as_ref())
    }

    /// A PATCH of this URL.
    pub fn patch(url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Method::PATCH, url.as_ref())
    }

    /// A DELETE of this URL.
    pub fn delete(url: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder::new(Method::DELETE, url.as_ref())
    }
}

impl RequestBuilder {
    fn new(method: Method, url: &str) -> Self {
        let head = Head {
            method,
            uri: Uri::default(),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            remote_addr: None,
            secure: false,
            protocols: Arc::default(),
            made_here: true,
        };
        let builder = Self {
            head,
            body: Body::empty(),
            fault: None,
        };
        builder.url(url)
    }

    /// Sets the URL. What may not stand in its path or query is percent-encoded,
    /// and its fragment left out.
    pub fn url(mut self, url: impl AsRef<str>) -> Self {
        match url::parse(url.as_ref()) {
            Ok(uri) => {
                self.head.uri = uri;
                self
            }
            Err(error) => self.failed(error),
        }
    }

    /// Sets a header, over one of the same name.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match header(name.as_ref(), value.as_ref()) {
            Ok((name, value)) => {
                self.head.headers.insert(name, value);
                self
            }
            Err(error) => self.failed(error),
        }
    }

    /// Adds a header, beside those of the same name.
    pub fn add_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match header(name.as_ref(), value.as_ref()) {
            Ok((name, value)) => {
                self.head.headers.append(name, value);
                self
            }
            Err(error) => self.failed(error),
        }
    }

    /// Takes out all headers of this name.
    pub fn without_header(mut self, name: impl AsRef<str>) -> Self {
        self.head.headers.remove(name.as_ref());
        self
    }

    /// Sets the body; a `Content-Length` was that of the one before, and goes.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.head.headers.remove(CONTENT_LENGTH);
        self.body = body.into();
        self
    }

    /// Sets the body to this value as JSON, and `Content-Type` with it.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => {
                let json_type = HeaderValue::from_static("application/json");
                self.head.headers.insert(CONTENT_TYPE, json_type);
                self.body(json)
            }
            Err(error) => self.failed(error.into()),
        }
    }

    /// The request.
    ///
    /// # Errors
    /// The first mistake that was made in making it.
    pub fn build(mut self) -> Result<Request> {
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(self.into()),
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    pub(super) fn uri_mut(&mut self) -> &mut Uri {
        &mut self.head.uri
    }

    pub(super) fn failed(mut self, fault: Error) -> Self {
        self.fault.get_or_insert(fault);
        self
    }
}

/// The request, with the mistake that it may hold.
impl From<RequestBuilder> for Request {
    fn from(builder: RequestBuilder) -> Self {
        Request::of(Arc::new(builder.head), builder.body).with_fault(builder.fault)
    }
}

impl From<Request> for RequestBuilder {
    fn from(request: Request) -> Self {
        let (mut head, body, fault) = request.into_parts();
        drop_named(&mut head.headers);
        Self { head, body, fault }
    }
}

/// Takes out what `Connection` names, which is that of the connection it came by
/// (RFC 9110 §7.6.1): later it would take out what is set from now on. What makes
/// it a request for a WebSocket that came in stays.
fn drop_named(headers: &mut HeaderMap) {
    let named = connection_names(headers);
    for name in &named {
        if ![UPGRADE, SEC_WEBSOCKET_KEY].contains(name) {
            headers.remove(name);
        }
    }
    headers.remove(CONNECTION);
    if named.contains(&UPGRADE) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// The headers that `Connection` names.
pub(crate) fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|b| *b == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    names.collect()
}

/// A GET of this URL.
impl From<&str> for Request {
    fn from(url: &str) -> Self {
        Request::get(url).into()
    }
}

/// A GET of this URL.
impl From<&String> for Request {
    fn from(url: &String) -> Self {
        Request::get(url).into()
    }
}

/// A GET of this URL.
impl From<String> for Request {
    fn from(url: String) -> Self {
        Request::get(url).into()
    }
}

/// Method and path alone: headers and the query may hold secrets.
impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RequestBuilder({} {})",
            self.head.method,
            self.head.uri.path()
        )
    }
}

/// A header's two halves, as texts.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let name = HeaderName::try_from(name)
        .map_err(|_| Error::invalid(format!("{name:?} cannot be a header's name")))?;
    // Not shown: it may be a cookie.
    let value = HeaderValue::try_from(value)
        .map_err(|_| Error::invalid(format!("the value of '{name}' cannot be a header's")))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_made_in_steps() {
        let request = Request::new("PROPFIND", "http://a.example/x y?q")
            .header("X-One", "1")
            .header("x-one", "2")
            .add_header("x-two", "1")
            .add_header("X-Two", "2")
            .json(&[1, 2])
            .header("content-type", "application/x+json")
            .header("gone", "1")
            .without_header("Gone")
            .build()
            .unwrap();
        assert_eq!(request.method(), "PROPFIND");
        assert_eq!(request.url(), "http://a.example/x%20y?q");
        assert_eq!(request.header("x-one"), Some("2"));
        let twice: Vec<_> = request.headers().get_all("x-two").iter().collect();
        assert_eq!(twice, ["1", "2"]);
        assert_eq!(request.header("gone"), None);
        assert_eq!(request.header("content-type"), Some("application/x+json"));
        assert_eq!(request.into_body().length(), Some(5));
    }

    #[test]
    fn the_first_mistake_stays_with_the_request() {
        let cases = [
            (Request::get("http://a b/"), "\"http://a b/\" is no URL"),
            (Request::new("A B", "/"), "\"A B\" cannot be a method"),
            (
                Request::get("/").header("a b", "x"),
                "\"a b\" cannot be a header's name",
            ),
            (
                Request::get("/").add_header("a b", "x"),
                "\"a b\" cannot be a header's name",
            ),
            (
                Request::post("/")
                    .header("x", "secret\n")
                    .header("y z", "x"),
                "the value of 'x' cannot be a header's",
            ),
        ];
        for (builder, wanted) in cases {
            let error = builder.build().unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
            assert!(!error.contains("secret"));
        }
        let kept = Request::from(Request::get(":")).into_http();
        assert!(kept.unwrap_err().is_invalid());
        let kept = Request::from(":").into_builder().url("http://a/").build();
        assert!(kept.unwrap_err().is_invalid(), "it is not forgotten");
    }

    #[test]
    fn a_request_that_came_can_be_changed_and_sent_on() {
        let came = http::Request::post("/path?x=1").body("body").unwrap();
        let sent = Request::from(came).into_builder().url("http://upstream/y");
        let sent = sent.header("via", "1.1 us").build().unwrap();
        let sent = sent.into_http().unwrap();
        assert_eq!((sent.method().as_str(), sent.uri().path()), ("POST", "/y"));
        assert_eq!(sent.headers()["via"], "1.1 us");
        assert_eq!(sent.body().length(), Some(4));
    }
}
