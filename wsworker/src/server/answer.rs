//! One request: the server's own checks, then the worker.
//! Does not write the response; hyper does, or `short` where it is a 101.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Extensions, HeaderValue, Method, StatusCode, Uri, Version};

use super::conn::{Conn, Opening};
use super::limits::AddressPermit;
use super::thread::Phase;
use crate::error::{Error, Result};
use crate::http::{Body, Head, Request, Response};
use crate::protocol::handshake;

/// An answer under way.
pub(super) type Answering = Pin<Box<dyn Future<Output = http::Response<Body>> + Send>>;

/// Answers a request. What is wrong with it for any worker is answered here.
pub(super) async fn answer(
    conn: &Arc<Conn>,
    mut parts: http::request::Parts,
    body: Body,
) -> http::Response<Body> {
    let site = &conn.thread.site;
    let upgrade = handshake::is_upgrade(&parts.headers);
    if upgrade && conn.thread.phase() != Phase::Serving {
        return unavailable("the server is shutting down");
    }
    let checked = check(conn, &parts, upgrade);
    let (remote_addr, address) = match checked {
        Ok(checked) => checked,
        Err(error) => return rejection(&error),
    };
    take_origin_form(&mut parts);
    // A Unix socket has no TLS.
    let tls = || site.is_secure() && conn.peer.is_some();
    let head = Arc::new(Head {
        method: parts.method,
        uri: parts.uri,
        version: parts.version,
        secure: site
            .proxies
            .secure(conn.peer, &parts.headers)
            .unwrap_or_else(tls),
        headers: parts.headers,
        extensions: Extensions::new(),
        remote_addr,
        protocols: site.protocols.clone(),
        made_here: false,
    });
    let answer = site.entry.fetch(Request::of(head, body), &site.env).await;
    if let Some(start) = answer.start {
        conn.open(Opening {
            start,
            remote_addr,
            address,
        });
    }
    answer.response
}

/// Who asks, and their place among the connections of their address.
type Checked = (Option<SocketAddr>, Option<AddressPermit>);

fn check(conn: &Conn, parts: &http::request::Parts, upgrade: bool) -> Result<Checked> {
    let site = &conn.thread.site;
    target(parts)?;
    let host = host(parts)?;
    if upgrade {
        site.origins.check(&parts.headers, host)?;
    }
    let proxied = site.proxies.trusts(conn.peer.map(|peer| peer.ip()));
    if !proxied {
        // Counted when it was accepted.
        return Ok((conn.peer, None));
    }
    let client = site.proxies.client(conn.peer, &parts.headers);
    let Some(addr) = client else {
        return Ok((None, None));
    };
    match site.counts.admit_address(addr.ip()) {
        Ok(permit) => Ok((client, permit)),
        Err(_) => Err(Error::rejected(
            StatusCode::TOO_MANY_REQUESTS,
            "too many connections from this address",
        )),
    }
}

/// RFC 9112 §3.2: a target is a path, or a whole URI, or for OPTIONS `*`. Anything
/// else, such as `.evil.example`, could be taken for the end of a host by whoever
/// writes a URL with it.
fn target(parts: &http::request::Parts) -> Result<()> {
    if parts.method == Method::CONNECT {
        let message = "CONNECT opens a tunnel, and there is none here";
        // What follows it would be no HTTP (RFC 9110 §9.3.6).
        return Err(Error::rejected_for_good(
            StatusCode::NOT_IMPLEMENTED,
            message,
        ));
    }
    let uri = &parts.uri;
    let fits = match uri.scheme_str() {
        Some(scheme) => ["http", "https"].contains(&scheme),
        None if uri.authority().is_some() => false,
        None => uri.path().starts_with('/') || parts.method == Method::OPTIONS,
    };
    if fits {
        return Ok(());
    }
    let message = "the target of a request must be a path, or a URL of http or https";
    Err(Error::rejected(StatusCode::BAD_REQUEST, message))
}

/// Makes a path of a whole URI, whose host counts instead of `Host` (RFC 9112 §3.2.2).
fn take_origin_form(parts: &mut http::request::Parts) {
    let Some(authority) = parts.uri.authority() else {
        return;
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        parts.headers.insert(HOST, host);
    }
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);
}

/// The host that was asked for.
fn host(parts: &http::request::Parts) -> Result<Option<&str>> {
    let mut values = parts.headers.get_all(HOST).iter();
    let first = values.next();
    let wrong = |seen: &str| {
        let message = format!("a request must have one valid 'host', got {seen}");
        Err(Error::rejected(StatusCode::BAD_REQUEST, message))
    };
    // RFC 9112 §3.2: HTTP/1.1 needs exactly one.
    let host = match first {
        None if parts.version == Version::HTTP_10 => None,
        None => return wrong("none"),
        Some(_) if values.next().is_some() => return wrong("more than one"),
        Some(value) => match value.to_str().ok().filter(|text| is_host(text)) {
            Some(text) => Some(text),
            None => return wrong(&format!("'{}'", value.as_bytes().escape_ascii())),
        },
    };
    // RFC 9112 §3.2.2: a target with an authority counts instead of `Host`.
    match parts.uri.authority().map(http::uri::Authority::as_str) {
        None => Ok(host),
        Some(text) if is_host(text) => Ok(Some(text)),
        // With a user in it (RFC 9110 §4.2.4), which is not shown.
        Some(_) => wrong("a target with something else in its place"),
    }
}

/// RFC 3986 §3.2.2 and §3.2.3, loosely: enough that nothing else gets in. It
/// may be empty (RFC 9110 §7.2).
fn is_host(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&b);
    text.bytes().all(fits)
}

fn rejection(error: &Error) -> http::Response<Body> {
    tracing::debug!(%error, "refused a request");
    match Response::rejection(error) {
        Some(response) => response.into_parts_for_server().0,
        None => unavailable("the request cannot be served"),
    }
}

fn unavailable(message: &'static str) -> http::Response<Body> {
    let mut response = http::Response::new(Body::from(Bytes::from_static(message.as_bytes())));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (RETRY_AFTER, "1"),
        (CONNECTION, "close"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
