//! A URL as people write it.
//! Does not fetch it, and does not say which schemes can be fetched.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::error::{Error, Result};

/// Parses a URL, or a path. What may not stand in a path or a query is encoded,
/// as a browser does it, and a fragment is left out: it is not sent.
pub(super) fn parse(url: &str) -> Result<Uri> {
    let url = url.trim();
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    // A path alone has no scheme, whatever its query says.
    let scheme = url
        .find("://")
        .filter(|at| !url[..*at].contains(['/', '?']));
    let after_scheme = scheme.map_or(0, |at| at + 3);
    let path = url[after_scheme..].find(['/', '?']);
    let path = path.map_or(url.len(), |at| after_scheme + at);
    let (start, rest) = url.split_at(path);
    if start.contains('@') {
        return Err(Error::invalid(
            "a URL with a user or a password in it cannot be fetched; \
             send an 'authorization' header instead",
        ));
    }
    // The query is not shown: it may hold a secret.
    let shown = url.split('?').next().unwrap_or_default();
    let no_url = |why: &str| {
        Error::invalid(format!(
            "{shown:?} is no URL: {why}; wanted one such as https://a.example/path"
        ))
    };
    if scheme.is_none() && !url.starts_with('/') {
        return Err(no_url("it has no scheme"));
    }
    let parsed = format!("{start}{}", encode(rest.as_bytes())).parse();
    parsed.map_err(|error: http::uri::InvalidUri| no_url(&error.to_string()))
}

/// Encodes what may not stand in a URL's path or query.
pub(crate) fn encode(text: &[u8]) -> Cow<'_, str> {
    percent_encode(text, NOT_IN_PATH).into()
}

/// The WHATWG's path and query sets, together. A `%` stays: what is encoded is
/// not encoded again.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_stand_in_a_url_is_encoded() {
        let cases = [
            ("http://a.example", "http://a.example/"),
            (" wss://a.example/x?y#z ", "wss://a.example/x?y"),
            (
                "http://a/b c/é?q=ü {}",
                "http://a/b%20c/%C3%A9?q=%C3%BC%20%7B%7D",
            ),
            ("http://a/%20?x=%3D", "http://a/%20?x=%3D"),
            ("http://a?x=://", "http://a/?x=://"),
            ("/just/a path", "/just/a%20path"),
            ("/go?to=http://u@b/ c", "/go?to=http://u@b/%20c"),
            ("http://[::1]:80/", "http://[::1]:80/"),
        ];
        for (url, wanted) in cases {
            assert_eq!(parse(url).unwrap().to_string(), wanted);
        }
    }

    #[test]
    fn what_is_no_url_is_an_error_without_secrets() {
        for url in [
            "",
            ":",
            "a.example",
            "a.example/x?secret=http://",
            "http://",
            "http://a b/?secret",
            "http://é/",
            "http://u:secret@a/",
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.is_invalid());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
