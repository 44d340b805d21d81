//! Which headers go out and come back: those of a connection are its own (RFC 9110 §7.6.1).

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;

use super::settings::Settings;
use super::target::Target;
use crate::http::{Body, connection_names};
use crate::protocol::handshake;

/// Makes a plain request's headers fit to be sent.
pub(super) fn outgoing(headers: &mut HeaderMap, body: &Body, settings: &Settings) {
    of_any_request(headers, settings);
    headers
        .entry(ACCEPT)
        .or_insert(HeaderValue::from_static("*/*"));
    // hyper counts it; of a stream only the caller can know it.
    if body.size_hint().exact().is_some() {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Makes those of a request for a WebSocket so, but for the handshake's own.
pub(super) fn outgoing_upgrade(headers: &mut HeaderMap, target: &Target, settings: &Settings) {
    // The server that has taken it in has checked the origin.
    if handshake::is_sent_on(headers) {
        headers.remove(ORIGIN);
    }
    of_any_request(headers, settings);
    headers.remove(CONTENT_LENGTH);
    headers.insert(HOST, target.host());
}

/// Takes from a response's headers what was the connection's. `Upgrade` stays:
/// in a 426 it says what to ask for.
pub(super) fn incoming(headers: &mut HeaderMap) {
    let upgrade = headers.remove(UPGRADE);
    drop_hop_by_hop(headers);
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
    }
}

fn of_any_request(headers: &mut HeaderMap, settings: &Settings) {
    drop_hop_by_hop(headers);
    headers.remove(HOST);
    let name = || settings.user_agent.clone();
    headers.entry(USER_AGENT).or_insert_with(name);
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    // RFC 9112 §6.3: beside it, a length says nothing.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let named = connection_names(headers);
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> String {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names.join(" ")
    }

    #[test]
    fn what_was_a_connections_own_does_not_go_on() {
        let mut sent = headers(&[
            ("host", "worker.example"),
            ("connection", "keep-alive, X-Secret"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("content-length", "99"),
            ("cookie", "a=b"),
            ("origin", "http://a.example"),
        ]);
        outgoing(&mut sent, &Body::from("x"), &Settings::default());
        assert_eq!(names(&sent), "accept cookie origin user-agent");
    }

    #[test]
    fn what_the_request_says_of_itself_stays() {
        let mut sent = headers(&[("user-agent", "mine"), ("accept", "text/html")]);
        outgoing(&mut sent, &Body::empty(), &Settings::default());
        assert_eq!(sent["user-agent"], "mine");
        assert_eq!(sent["accept"], "text/html");
    }

    #[test]
    fn only_a_forwarded_upgrade_loses_its_origin() {
        let target = Target::new(&"ws://a.example:81/".parse().unwrap()).unwrap();
        let mut own = headers(&[("origin", "http://a.example"), ("upgrade", "websocket")]);
        outgoing_upgrade(&mut own, &target, &Settings::default());
        assert_eq!(names(&own), "host origin user-agent");
        assert_eq!(own["host"], "a.example:81");
        let mut forwarded = headers(&[
            ("origin", "http://a.example"),
            ("sec-websocket-key", "x"),
            ("authorization", "Bearer x"),
        ]);
        outgoing_upgrade(&mut forwarded, &target, &Settings::default());
        assert!(!forwarded.contains_key(ORIGIN));
        assert_eq!(forwarded["authorization"], "Bearer x");
    }

    #[test]
    fn a_response_keeps_what_it_asks_to_be_upgraded_to() {
        let mut got = headers(&[
            ("connection", "upgrade, close"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("content-type", "text/plain"),
        ]);
        incoming(&mut got);
        assert_eq!(names(&got), "content-type upgrade");
    }
}
