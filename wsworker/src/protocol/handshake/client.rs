//! The opening handshake as the one who asks (RFC 6455 §4.1): a key, the request's headers, is the answer a valid one.
//! Does no I/O and knows no URL; an answer that is no 101 is none of its business.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Version};

use super::{accept_value, body_header, has_token, list, offered, seen};
use crate::error::{Error, Result};

/// Did another client send this request to a server, which sends it on? Only then
/// has it a key before it is given one.
pub(crate) fn is_sent_on(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_WEBSOCKET_KEY)
}

/// What a bad request is: that client's, to be answered, or the caller's own.
pub(crate) fn mistake(headers: &HeaderMap, rejection: Error) -> Error {
    match is_sent_on(headers) {
        true => rejection,
        false => Error::invalid(rejection.message().to_owned()),
    }
}

/// What one request for a WebSocket asked for, to hold the answer against.
pub(crate) struct Asked {
    /// The value of `Sec-WebSocket-Key`.
    key: HeaderValue,
    /// The subprotocols that were offered.
    protocols: Vec<Box<str>>,
}

impl Asked {
    /// Makes the headers those of a request for a WebSocket, with a fresh key.
    ///
    /// Stays: `Sec-WebSocket-Protocol`, which is the user's to offer. Goes: what
    /// is the framework's, whoever set it, and extensions, of which none is offered.
    ///
    /// # Errors
    /// The offered subprotocols are not tokens, each given once; or the system
    /// has no randomness.
    pub(crate) fn with_headers(headers: &mut HeaderMap) -> Result<Self> {
        let mut nonce = [0; 16];
        // RFC 6455 §10.3: from a strong source, so that no cache between can be
        // made to take an answer of its own for ours.
        getrandom::fill(&mut nonce)
            .map_err(|e| Error::io("the system gives no random key", e.into()))?;
        Self::with_nonce(headers, nonce)
    }

    fn with_nonce(headers: &mut HeaderMap, nonce: [u8; 16]) -> Result<Self> {
        let protocols = offered(headers).map_err(|e| mistake(headers, e))?;
        let protocols = protocols.into_iter().map(Box::from).collect();
        let key = HeaderValue::try_from(STANDARD.encode(nonce)).expect("base64 fits into a header");
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        headers.remove(SEC_WEBSOCKET_ACCEPT);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        Ok(Self { key, protocols })
    }

    /// Checks a 101 by RFC 6455 §4.1, and gives the subprotocol that the server
    /// chose. None chosen of those offered is no mistake.
    ///
    /// # Errors
    /// Of the kind that [`Error::is_handshake`] tells: what was seen and what was wanted.
    pub(crate) fn check(&self, version: Version, headers: &HeaderMap) -> Result<Option<Box<str>>> {
        if version != Version::HTTP_11 {
            return Err(bad(format!("a 101 must be of HTTP/1.1, got {version:?}")));
        }
        for (name, token) in [(UPGRADE, "websocket"), (CONNECTION, "upgrade")] {
            if !has_token(headers, &name, token) {
                let seen = seen(headers, &name);
                return Err(bad(format!("'{name}' must contain '{token}', got {seen}")));
            }
        }
        self.accepted(headers)?;
        // What follows must be frames. RFC 9110 §8.6, §15.2: no 101 has a body.
        if let Some(name) = body_header(headers) {
            let seen = seen(headers, &name);
            return Err(bad(format!("a 101 must have no body, got '{name}' {seen}")));
        }
        let mut extensions = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
        if extensions.any(|value| list(value).next().is_some()) {
            let seen = seen(headers, &SEC_WEBSOCKET_EXTENSIONS);
            return Err(bad(format!(
                "'sec-websocket-extensions' must be missing, as none was offered, got {seen}"
            )));
        }
        self.protocol(headers)
    }

    fn accepted(&self, headers: &HeaderMap) -> Result<()> {
        let wanted = accept_value(self.key.as_bytes());
        let mut values = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
        if let (Some(value), None) = (values.next(), values.next())
            && value == wanted
        {
            return Ok(());
        }
        let wanted = wanted.to_str().expect("base64 is visible ASCII");
        let seen = seen(headers, &SEC_WEBSOCKET_ACCEPT);
        Err(bad(format!(
            "'sec-websocket-accept' must be given once and be '{wanted}', got {seen}"
        )))
    }

    /// RFC 6455 §4.1: one that was offered; §11.3.4: in one header.
    fn protocol(&self, headers: &HeaderMap) -> Result<Option<Box<str>>> {
        let mut values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let chosen = match (values.next(), values.next()) {
            (None, _) => return Ok(None),
            (Some(value), None) => {
                let mut offered = self.protocols.iter();
                offered.find(|p| p.as_bytes() == value.as_bytes())
            }
            _ => None,
        };
        if let Some(protocol) = chosen {
            return Ok(Some(protocol.clone()));
        }
        let seen = seen(headers, &SEC_WEBSOCKET_PROTOCOL);
        Err(bad(match self.protocols.as_slice() {
            [] => {
                format!("'sec-websocket-protocol' must be missing, as none was offered, got {seen}")
            }
            offered => format!(
                "'sec-websocket-protocol' must be one of those offered, '{}', got {seen}",
                offered.join(", ")
            ),
        }))
    }
}

fn bad(message: String) -> Error {
    Error::handshake(message)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const NONCE: [u8; 16] = *b"the sample nonce";
    /// RFC 6455 §1.3.
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    fn asked(protocols: &[&str]) -> Asked {
        let pairs: Vec<_> = protocols
            .iter()
            .map(|p| ("sec-websocket-protocol", *p))
            .collect();
        Asked::with_nonce(&mut headers(&pairs), NONCE).unwrap()
    }

    /// The good answer with one header replaced; without values it is left out.
    fn answer(name: &str, values: &[&str]) -> HeaderMap {
        let mut answer = headers(&[
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", ACCEPT),
        ]);
        answer.remove(name);
        for value in values {
            let name = HeaderName::try_from(name).unwrap();
            answer.append(name, HeaderValue::try_from(*value).unwrap());
        }
        answer
    }

    #[track_caller]
    fn refused(asked: &Asked, name: &str, values: &[&str], message: &str) {
        let error = asked
            .check(Version::HTTP_11, &answer(name, values))
            .unwrap_err();
        assert!(error.is_handshake());
        let text = error.to_string();
        assert_eq!(text, format!("the WebSocket handshake failed: {message}"));
    }

    #[test]
    fn a_request_has_its_headers_whatever_was_set() {
        let mut headers = headers(&[
            ("upgrade", "h2c"),
            ("connection", "keep-alive"),
            ("connection", "te"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-key", "mine"),
            ("sec-websocket-version", "8"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "a, b"),
            ("cookie", "a=b"),
        ]);
        let asked = Asked::with_nonce(&mut headers, *b"another nonce ok").unwrap();
        let mut sent: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v)).collect();
        sent.sort();
        let wanted = [
            ("connection", "Upgrade"),
            ("cookie", "a=b"),
            ("sec-websocket-key", "YW5vdGhlciBub25jZSBvaw=="),
            ("sec-websocket-protocol", "a, b"),
            ("sec-websocket-version", "13"),
            ("upgrade", "websocket"),
        ];
        assert_eq!(sent.len(), wanted.len());
        for ((name, value), wanted) in sent.iter().zip(wanted) {
            assert_eq!((*name, value.to_str().unwrap()), wanted);
        }
        assert_eq!(asked.protocols, ["a".into(), "b".into()]);
    }

    #[test]
    fn each_key_is_fresh() {
        let key = || {
            let mut headers = HeaderMap::new();
            Asked::with_headers(&mut headers).unwrap();
            headers[SEC_WEBSOCKET_KEY].clone()
        };
        let (one, two) = (key(), key());
        assert_ne!(one, two);
        assert_eq!(STANDARD.decode(&one).unwrap().len(), 16);
    }

    #[test]
    fn offers_must_be_tokens_each_once() {
        for offers in ["a b", "a, a", "\"a\""] {
            let mut headers = headers(&[("sec-websocket-protocol", offers)]);
            let error = Asked::with_headers(&mut headers).err().unwrap();
            assert!(error.is_invalid(), "{error}");
            assert_eq!(error.status(), None);
        }
    }

    #[test]
    fn the_sample_of_the_rfc_is_taken() {
        let asked = asked(&[]);
        assert_eq!(asked.key, "dGhlIHNhbXBsZSBub25jZQ==");
        for (name, value) in [
            ("upgrade", "WebSocket"),
            ("upgrade", "h2c, websocket"),
            ("connection", "keep-alive, UPGRADE"),
            ("content-length", "0"),
            ("sec-websocket-extensions", " , "),
            ("x-other", "a"),
        ] {
            let protocol = asked.check(Version::HTTP_11, &answer(name, &[value]));
            assert_eq!(protocol.unwrap(), None, "{name}: {value}");
        }
    }

    #[test]
    fn each_wrong_header_is_named() {
        let asked = asked(&[]);
        let cases = [
            (
                "upgrade",
                &[][..],
                "'upgrade' must contain 'websocket', got none",
            ),
            (
                "upgrade",
                &["h2c"],
                "'upgrade' must contain 'websocket', got 'h2c'",
            ),
            (
                "connection",
                &[],
                "'connection' must contain 'upgrade', got none",
            ),
            (
                "connection",
                &["keep-alive"],
                "'connection' must contain 'upgrade', got 'keep-alive'",
            ),
            (
                "content-length",
                &["5"],
                "a 101 must have no body, got 'content-length' '5'",
            ),
            (
                "transfer-encoding",
                &["chunked"],
                "a 101 must have no body, got 'transfer-encoding' 'chunked'",
            ),
            (
                "sec-websocket-extensions",
                &["permessage-deflate"],
                "'sec-websocket-extensions' must be missing, as none was offered, \
                 got 'permessage-deflate'",
            ),
            (
                "sec-websocket-protocol",
                &["chat"],
                "'sec-websocket-protocol' must be missing, as none was offered, got 'chat'",
            ),
        ];
        for (name, values, message) in cases {
            refused(&asked, name, values, message);
        }
        let error = asked
            .check(Version::HTTP_10, &answer("x", &[]))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("a 101 must be of HTTP/1.1, got HTTP/1.0")
        );
    }

    #[test]
    fn the_accept_key_is_one_and_ours() {
        let asked = asked(&[]);
        let cases = [
            (&[][..], "none"),
            (
                &["S3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
                "'S3pPLMBiTxaQ9kYGzzhZRbK+xOo='",
            ),
            (
                &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo"],
                "'s3pPLMBiTxaQ9kYGzzhZRbK+xOo'",
            ),
            (&[ACCEPT, ACCEPT], "2 of them"),
        ];
        for (values, seen) in cases {
            let message =
                format!("'sec-websocket-accept' must be given once and be '{ACCEPT}', got {seen}");
            refused(&asked, "sec-websocket-accept", values, &message);
        }
    }

    #[test]
    fn a_protocol_must_be_one_of_those_offered() {
        let asked = asked(&["v2, v1"]);
        let check = |values: &[&str]| {
            let answer = answer("sec-websocket-protocol", values);
            asked.check(Version::HTTP_11, &answer)
        };
        assert_eq!(check(&["v1"]).unwrap().as_deref(), Some("v1"));
        assert_eq!(check(&[]).unwrap(), None);
        for (values, seen) in [
            (&["v3"][..], "'v3'"),
            (&["V1"], "'V1'"),
            (&["v2, v1"], "'v2, v1'"),
            (&[""], "''"),
            (&["v1", "v1"], "2 of them"),
        ] {
            let message = format!(
                "'sec-websocket-protocol' must be one of those offered, 'v2, v1', got {seen}"
            );
            refused(&asked, "sec-websocket-protocol", values, &message);
        }
    }
}
