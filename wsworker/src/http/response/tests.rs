use std::sync::Arc;

use super::*;
use crate::http::{Head, Request};

fn upgrade() -> Upgrade {
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
        secure: false,
        protocols: Arc::new(["v2".into(), "v1".into()]),
        made_here: false,
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
fn a_101_stays_one() {
    assert!(upgrade().accept().with_status(200).is_err());
    let response = upgrade().accept().with_body("frames?");
    assert_eq!(response.into_body().length(), Some(0));
}

#[test]
fn values_are_json() {
    let response = Response::json(&("é", 1)).unwrap();
    assert_eq!(
        response.header_str("Content-Type"),
        Some("application/json")
    );
    assert_eq!(response.status(), 200);
    let keys = std::collections::HashMap::from([((1, 2), 3)]);
    assert!(Response::json(&keys).is_err());
}

#[test]
fn a_redirect_has_a_status_that_does() {
    let response = Response::redirect("/a b?q=é", 303).unwrap();
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()["location"], "/a%20b?q=%C3%A9");
    assert!(Response::redirect("/", 200).unwrap_err().is_invalid());
    let split = Response::redirect("/\r\nset-cookie: a=b", 302).unwrap();
    assert_eq!(split.headers()["location"], "/%0D%0Aset-cookie:%20a=b");
}

#[test]
fn a_length_can_be_said_only_where_it_is_not_known() {
    let known = Response::text("four").header("content-length", "5");
    assert!(known.headers().get("content-length").is_none());
    let unknown = Response::stream(Body::new(Unknown));
    let unknown = unknown.header("content-length", "5");
    assert_eq!(unknown.headers()["content-length"], "5");
    for value in ["", "+5", "five", "-1"] {
        let unknown = Response::stream(Body::new(Unknown));
        assert!(unknown.try_header("content-length", value).is_err());
    }
}

/// A body without a length.
struct Unknown;

impl http_body::Body for Unknown {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>>>> {
        std::task::Poll::Ready(None)
    }
}

#[test]
fn only_final_statuses_can_be_given() {
    for status in [0, 100, 101, 199, 600, 999] {
        assert!(Response::new(status).is_err(), "{status}");
    }
    assert_eq!(Response::error("no", 404).unwrap().status(), 404);
}

#[test]
fn the_error_of_a_101_says_where_one_comes_from() {
    let error = Response::new(101).unwrap_err().to_string();
    assert!(error.contains("req.upgrade()?.accept()"), "{error}");
}

#[test]
fn a_header_is_given_and_asked_for_by_any_text() {
    let (name, value) = ("x-room".to_owned(), format!("room {}", 7));
    let response = Response::text("")
        .header(&name, &value)
        .header(http::header::ETAG, value.clone())
        .try_header(name.clone(), "8")
        .unwrap();
    assert_eq!(response.header_str(http::header::ETAG), Some(&*value));
    assert_eq!(response.header_str(&name), Some("8"));
    let request = Request::get("http://a/").header(&name, value).build();
    assert_eq!(request.unwrap().header(name), Some("room 7"));
}

#[test]
fn a_bad_header_is_an_error_that_does_not_show_its_value() {
    assert!(Response::text("").try_header("a b", "x").is_err());
    let error = Response::text("").try_header("x", "secret\n").unwrap_err();
    assert!(!error.to_string().contains("secret"));
}
