//! The opening handshake (RFC 6455 §4.2): is a request a valid one, what accepts it; `origin`: whose page sent it;
//! `client`: the other side of it.
//! Does no I/O and builds no response; a refusal is an `Error` that carries its status and headers.

#[cfg(feature = "client")]
mod client;
mod origin;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use sha1::{Digest, Sha1};

#[cfg(feature = "client")]
pub(crate) use self::client::{Asked, is_sent_on, mistake};
pub(crate) use self::origin::Origins;
use crate::error::{Error, Result};

/// Does the request ask for a WebSocket, well or badly? `Upgrade` is a list of
/// tokens that are compared without case (RFC 9110 §7.8).
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

/// Checks a request by RFC 6455 §4.2.1 and gives the value of
/// `Sec-WebSocket-Accept` that answers it.
///
/// The order of the checks is that of what helps the one who asks: a method
/// that can never work, then a request that is no upgrade at all, then the
/// details of one that is.
pub(crate) fn validate(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<HeaderValue> {
    check_method(method)?;
    if !is_upgrade(headers) {
        return Err(upgrade_required());
    }
    // RFC 9110 §7.8: an Upgrade in an HTTP/1.0 request is to be ignored.
    if version != Version::HTTP_11 {
        return Err(bad(format!(
            "a WebSocket is opened with HTTP/1.1, got {version:?}"
        )));
    }
    no_body(headers)?;
    if !has_token(headers, &CONNECTION, "upgrade") {
        let seen = seen(headers, &CONNECTION);
        return Err(bad(format!(
            "'connection' must contain 'upgrade', got {seen}"
        )));
    }
    supported_version(headers)?;
    Ok(accept_value(key(headers)?))
}

/// RFC 6455 §4.1, item 2 of the request: it is a GET.
pub(crate) fn check_method(method: &Method) -> Result<()> {
    if method == Method::GET {
        return Ok(());
    }
    let message = format!("a WebSocket is opened with GET, got {method}");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Err(refuse(status, message, &[(ALLOW, "GET")]))
}

/// The subprotocols that the client offers, in its order of preference. Empty
/// if there are none; an error if they are not tokens, each given once
/// (RFC 6455 §4.1, item 10).
pub(crate) fn offered(headers: &HeaderMap) -> Result<Vec<&str>> {
    let mut offered = Vec::new();
    // To look each one up in the list would take a long time for a long list.
    let mut names = HashSet::new();
    for value in headers.get_all(SEC_WEBSOCKET_PROTOCOL) {
        for name in list(value) {
            let Some(name) = std::str::from_utf8(name).ok().filter(|n| is_token(n)) else {
                let seen = name.escape_ascii();
                return Err(bad(format!(
                    "'sec-websocket-protocol' must be a list of tokens, got '{seen}' in it"
                )));
            };
            if !names.insert(name) {
                return Err(bad(format!(
                    "'sec-websocket-protocol' must name each protocol once, got '{name}' twice"
                )));
            }
            offered.push(name);
        }
    }
    Ok(offered)
}

/// The first of the server's list that was offered: the server's preference decides.
pub(crate) fn choose<'a>(preferred: &'a [Box<str>], offered: &[&str]) -> Option<&'a str> {
    let name = preferred.iter().find(|name| offered.contains(&&***name))?;
    Some(name)
}

/// The value of `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2, item 5.4).
pub(crate) fn accept_value(key: &[u8]) -> HeaderValue {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut text = [0; 28];
    let len = STANDARD
        .encode_slice(hash.finalize(), &mut text)
        .expect("20 bytes are 28 in base64");
    HeaderValue::from_bytes(&text[..len]).expect("base64 fits into a header")
}

/// A token of RFC 9110 §5.6.2, which a subprotocol's name must be.
pub(crate) fn is_token(text: &str) -> bool {
    let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_tchar)
}

fn upgrade_required() -> Error {
    // RFC 9110 §15.5.22: a 426 must say what to upgrade to.
    refuse(
        StatusCode::UPGRADE_REQUIRED,
        "Expected Upgrade: websocket",
        &[(UPGRADE, "websocket"), (CONNECTION, "Upgrade")],
    )
}

/// What follows the head must be frames: a body could be read as some.
fn no_body(headers: &HeaderMap) -> Result<()> {
    let Some(name) = body_header(headers) else {
        return Ok(());
    };
    let seen = seen(headers, &name);
    Err(bad(format!(
        "a request for a WebSocket must have no body, got '{name}' {seen}"
    )))
}

/// The header that announces a body, if one does.
fn body_header(headers: &HeaderMap) -> Option<HeaderName> {
    if headers.contains_key(TRANSFER_ENCODING) {
        return Some(TRANSFER_ENCODING);
    }
    let length = headers.get(CONTENT_LENGTH)?;
    let is_zero = length.as_bytes().iter().all(|b| *b == b'0');
    (!is_zero).then_some(CONTENT_LENGTH)
}

/// RFC 6455 §4.4: any other version is answered with the one we speak.
fn supported_version(headers: &HeaderMap) -> Result<()> {
    let mut values = headers.get_all(SEC_WEBSOCKET_VERSION).iter();
    if let (Some(value), None) = (values.next(), values.next())
        && value == "13"
    {
        return Ok(());
    }
    let seen = seen(headers, &SEC_WEBSOCKET_VERSION);
    Err(refuse(
        StatusCode::UPGRADE_REQUIRED,
        format!("'sec-websocket-version' must be '13', got {seen}"),
        &[
            (SEC_WEBSOCKET_VERSION, "13"),
            (UPGRADE, "websocket"),
            (CONNECTION, "Upgrade"),
        ],
    ))
}

/// RFC 6455 §4.2.1, item 5: exactly one key, 16 bytes in base64.
fn key(headers: &HeaderMap) -> Result<&[u8]> {
    let mut values = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    if let (Some(value), None) = (values.next(), values.next()) {
        // Three bytes more than 16, since the decoder asks for whole blocks of room.
        let mut nonce = [0; 19];
        if STANDARD.decode_slice(value, &mut nonce) == Ok(16) {
            return Ok(value.as_bytes());
        }
    }
    let seen = seen(headers, &SEC_WEBSOCKET_KEY);
    Err(bad(format!(
        "'sec-websocket-key' must be given once and be 16 bytes in base64, got {seen}"
    )))
}

/// Is the token in the header's list, without case, over repeated headers?
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let token = token.as_bytes();
    let mut values = headers.get_all(name).iter();
    values.any(|value| {
        // Nearly always it is the only one.
        value.as_bytes().eq_ignore_ascii_case(token)
            || list(value).any(|t| t.eq_ignore_ascii_case(token))
    })
}

/// A value's members, trimmed. RFC 9110 §5.6.1.2: empty ones are skipped.
fn list(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let members = value.as_bytes().split(|b| *b == b',');
    members.map(<[u8]>::trim_ascii).filter(|m| !m.is_empty())
}

/// What a header held, for a message: quoted, bounded, one line.
fn seen(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    match *values {
        [] => "none".to_owned(),
        [value] => {
            let bytes = value.as_bytes();
            let (shown, rest) = bytes.split_at(bytes.len().min(SHOWN));
            let more = if rest.is_empty() { "" } else { "…" };
            format!("'{}{more}'", shown.escape_ascii())
        }
        ref many => format!("{} of them", many.len()),
    }
}

/// How much of a header's value a message shows, in bytes.
const SHOWN: usize = 80;

fn bad(message: String) -> Error {
    Error::rejected(StatusCode::BAD_REQUEST, message)
}

fn refuse(
    status: StatusCode,
    message: impl Into<std::borrow::Cow<'static, str>>,
    pairs: &[(HeaderName, &'static str)],
) -> Error {
    let headers = pairs
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
    Error::rejected_with(status, message, headers.collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("host", "a.example"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// The good request with one header replaced; `None` leaves it out.
    fn with(name: &str, values: &[&str]) -> HeaderMap {
        let mut headers = headers(GOOD);
        headers.remove(name);
        for value in values {
            let name = HeaderName::try_from(name).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn get(headers: &HeaderMap) -> Result<HeaderValue> {
        validate(&Method::GET, Version::HTTP_11, headers)
    }

    #[track_caller]
    fn refused(headers: &HeaderMap, status: u16, message: &str) -> HeaderMap {
        let error = get(headers).unwrap_err();
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.to_string(), message);
        error.rejection_headers().cloned().unwrap_or_default()
    }

    #[test]
    fn the_sample_of_the_rfc_is_accepted() {
        // RFC 6455 §1.3
        let accept = get(&headers(GOOD)).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn names_and_lists_are_compared_as_tokens_without_case() {
        for value in ["WebSocket", "websocket, h2c", "h2c,,WEBSOCKET ,"] {
            assert!(get(&with("upgrade", &[value])).is_ok(), "{value}");
        }
        assert!(get(&with("upgrade", &["h2c", "websocket"])).is_ok());
        assert!(get(&with("connection", &["keep-alive, UPGRADE"])).is_ok());
        assert!(get(&with("connection", &["keep-alive", "upgrade"])).is_ok());
    }

    #[test]
    fn a_plain_get_learns_what_to_upgrade_to() {
        for upgrade in [&[][..], &["h2c"], &["websockets"]] {
            let extra = refused(
                &with("upgrade", upgrade),
                426,
                "Expected Upgrade: websocket",
            );
            assert_eq!(extra["upgrade"], "websocket");
            assert_eq!(extra["connection"], "Upgrade");
        }
    }

    #[test]
    fn a_method_that_cannot_work_is_said_first() {
        for method in [Method::POST, Method::PUT, Method::HEAD] {
            for headers in [headers(GOOD), HeaderMap::new()] {
                let error = validate(&method, Version::HTTP_11, &headers).unwrap_err();
                assert_eq!(error.status(), Some(StatusCode::METHOD_NOT_ALLOWED));
                assert_eq!(error.rejection_headers().unwrap()["allow"], "GET");
            }
        }
    }

    #[test]
    fn http_1_0_cannot_upgrade() {
        let error = validate(&Method::GET, Version::HTTP_10, &headers(GOOD)).unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
        assert_eq!(
            error.to_string(),
            "a WebSocket is opened with HTTP/1.1, got HTTP/1.0"
        );
    }

    #[test]
    fn a_body_is_refused() {
        let message = "a request for a WebSocket must have no body, got 'content-length' '5'";
        refused(&with("content-length", &["5"]), 400, message);
        let message =
            "a request for a WebSocket must have no body, got 'transfer-encoding' 'chunked'";
        refused(&with("transfer-encoding", &["chunked"]), 400, message);
        assert!(get(&with("content-length", &["0"])).is_ok());
    }

    #[test]
    fn connection_must_name_upgrade() {
        let message = "'connection' must contain 'upgrade', got 'keep-alive'";
        refused(&with("connection", &["keep-alive"]), 400, message);
        let message = "'connection' must contain 'upgrade', got none";
        refused(&with("connection", &[]), 400, message);
    }

    #[test]
    fn another_version_is_told_ours() {
        let cases = [
            (&["8"][..], "'8'"),
            (&[], "none"),
            (&["13", "13"], "2 of them"),
            (&["13, 8"], "'13, 8'"),
        ];
        for (values, seen) in cases {
            let message = format!("'sec-websocket-version' must be '13', got {seen}");
            let extra = refused(&with("sec-websocket-version", values), 426, &message);
            assert_eq!(extra["sec-websocket-version"], "13");
            assert_eq!(extra["upgrade"], "websocket");
        }
    }

    #[test]
    fn the_key_is_one_and_sixteen_bytes() {
        let good = "dGhlIHNhbXBsZSBub25jZQ==";
        let long = "A".repeat(200);
        let cases = [
            (&[][..], "none".to_owned()),
            (&["abc"], "'abc'".to_owned()),
            (&["!!!!"], "'!!!!'".to_owned()),
            (
                &["dGhlIHNhbXBsZSBub25jZQ"],
                "'dGhlIHNhbXBsZSBub25jZQ'".to_owned(),
            ),
            // 17 and 18 bytes
            (
                &["AAAAAAAAAAAAAAAAAAAAAAA="],
                "'AAAAAAAAAAAAAAAAAAAAAAA='".to_owned(),
            ),
            (
                &["AAAAAAAAAAAAAAAAAAAAAAAA"],
                "'AAAAAAAAAAAAAAAAAAAAAAAA'".to_owned(),
            ),
            (&[&long], format!("'{}…'", "A".repeat(80))),
            (&[good, good], "2 of them".to_owned()),
        ];
        for (values, seen) in cases {
            let message = format!(
                "'sec-websocket-key' must be given once and be 16 bytes in base64, got {seen}"
            );
            refused(&with("sec-websocket-key", values), 400, &message);
        }
    }

    #[test]
    fn offers_are_read_over_repeated_headers() {
        let none = offered(&HeaderMap::new()).map(|o| o.is_empty());
        assert!(none.unwrap());
        let headers = with("sec-websocket-protocol", &["a, b", "", "c ,"]);
        assert_eq!(offered(&headers).unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn a_long_list_of_offers_takes_no_long_time() {
        let names: Vec<_> = (0..50_000).map(|n| n.to_string()).collect();
        let headers = with("sec-websocket-protocol", &[&names.join(",")]);
        let begun = Instant::now();
        assert_eq!(offered(&headers).unwrap(), names);
        // Each against all before it would take many times as long.
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn offers_must_be_tokens_and_unique() {
        for (value, status) in [("a, b c", 400), ("a,\"b\"", 400), ("a, a", 400), ("é", 400)] {
            let headers = with("sec-websocket-protocol", &[value]);
            let error = offered(&headers).unwrap_err();
            assert_eq!(error.status().unwrap(), status, "{value}");
        }
    }

    #[test]
    fn the_servers_preference_decides() {
        let ours: Vec<Box<str>> = vec!["v2".into(), "v1".into()];
        assert_eq!(choose(&ours, &["v1", "v2"]), Some("v2"));
        assert_eq!(choose(&ours, &["v1", "v0"]), Some("v1"));
        assert_eq!(choose(&ours, &["V1"]), None);
        assert_eq!(choose(&[], &["v1"]), None);
    }
}
