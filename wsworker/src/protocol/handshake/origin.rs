//! Whose page asks: the origin of a request against the host that it was sent to (RFC 6454).
//! Does not know cookies or tokens; those are the worker's.

use http::header::ORIGIN;
use http::{HeaderMap, StatusCode};

use crate::error::{Error, Result};

/// Which origins may open a WebSocket. A request without `Origin` is no
/// browser's and passes: the check is against a foreign page that uses the
/// cookies of its visitor (RFC 6455 §10.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// Listed ones beside the server's own.
    pub(crate) listed: Vec<String>,
    /// Switches the check off.
    pub(crate) any: bool,
}

impl Origins {
    /// `host` is what the request was sent to, as in `Host`.
    pub(crate) fn check(&self, headers: &HeaderMap, host: Option<&str>) -> Result<()> {
        let mut values = headers.get_all(ORIGIN).iter();
        let Some(origin) = values.next() else {
            return Ok(());
        };
        if self.any {
            return Ok(());
        }
        // Two origins are no browser's doing; neither can be believed.
        let text = origin.to_str().ok().filter(|_| values.next().is_none());
        let allowed = text.is_some_and(|text| {
            host.is_some_and(|host| same_host(text, host))
                || self.listed.iter().any(|l| l.eq_ignore_ascii_case(text))
        });
        if allowed {
            return Ok(());
        }
        let seen = origin.as_bytes().escape_ascii();
        let host = host.unwrap_or("");
        Err(Error::rejected(
            StatusCode::FORBIDDEN,
            format!(
                "origin '{seen}' may not open a WebSocket here: it is not the host asked for, \
                 '{host}', nor listed. List it in #[worker(origins(\"{seen}\"))], \
                 Server::origins or WSWORKER_ORIGINS"
            ),
        ))
    }

    /// Is the text an origin as a browser writes it: scheme, host, perhaps a
    /// port, and nothing after? What is listed must be one, or it would never match.
    pub(crate) fn is_origin(text: &str) -> bool {
        Origin::parse(text).is_some()
    }
}

/// Host and port agree; the scheme does not count, since TLS may end in a proxy
/// before us. What is left out is the default port of the origin's scheme.
fn same_host(origin: &str, host: &str) -> bool {
    let Some(origin) = Origin::parse(origin) else {
        return false;
    };
    let Some((name, port)) = host_and_port(host) else {
        return false;
    };
    let port = port.or(origin.default_port);
    origin.host.eq_ignore_ascii_case(name) && port.is_some() && port == origin.port
}

/// `scheme://host[:port]`. `null`, which a sandboxed page sends, is none.
struct Origin<'a> {
    host: &'a str,
    port: Option<u16>,
    default_port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let (host, port) = host_and_port(rest)?;
        let default_port = if is_any(scheme, ["http", "ws"]) {
            Some(80)
        } else if is_any(scheme, ["https", "wss"]) {
            Some(443)
        } else {
            None
        };
        Some(Self {
            host,
            port: port.or(default_port),
            default_port,
        })
    }
}

fn is_any(text: &str, all: [&str; 2]) -> bool {
    all.iter().any(|one| one.eq_ignore_ascii_case(text))
}

/// Splits `host[:port]`, where host may be `[v6]`; `None` if it is neither.
fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    // No user, no path, no query: an origin and a Host have none.
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._~%[]:".contains(&b) || b >= 0x80;
    if host.is_empty() || !host.bytes().all(is_host) {
        return None;
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        // RFC 3986 §3.2.3: the port may be empty.
        Some("") => Some((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            Some((host, Some(port.parse().ok()?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(origins: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        headers
    }

    fn origin(text: &str, host: &str) -> bool {
        let headers = headers(&[text]);
        Origins::default().check(&headers, Some(host)).is_ok()
    }

    #[test]
    fn an_origin_matches_the_host_that_was_asked_for() {
        let same = [
            ("http://a.example", "a.example"),
            ("https://a.example", "a.example"),
            ("https://A.Example", "a.eXample"),
            ("https://a.example", "a.example:443"),
            ("http://a.example:80", "a.example"),
            ("http://localhost:8787", "localhost:8787"),
            ("https://[::1]:8787", "[::1]:8787"),
            ("http://[::1]", "[::1]:80"),
            ("app://a.example:5", "a.example:5"),
        ];
        for (text, host) in same {
            assert!(origin(text, host), "{text} at {host}");
        }
    }

    #[test]
    fn other_origins_are_foreign() {
        let foreign = [
            ("http://b.example", "a.example"),
            ("http://a.example:8080", "a.example"),
            ("http://a.example", "a.example:443"),
            ("https://a.example", "a.example:80"),
            ("http://a.example.b.example", "a.example"),
            ("http://a.example@b.example", "b.example"),
            ("http://a.example/", "a.example"),
            ("null", "null"),
            ("a.example", "a.example"),
            ("://a.example", "a.example"),
            ("http://", ""),
            ("http://a.example:99999", "a.example:99999"),
            ("app://a.example", "a.example"),
        ];
        for (text, host) in foreign {
            assert!(!origin(text, host), "{text} at {host}");
        }
    }

    #[test]
    fn a_request_without_origin_passes_and_two_do_not() {
        let origins = Origins::default();
        assert!(origins.check(&HeaderMap::new(), Some("a")).is_ok());
        let two = headers(&["http://a", "http://a"]);
        assert!(origins.check(&two, Some("a")).is_err());
    }

    #[test]
    fn listed_origins_and_any_origin_pass() {
        let foreign = headers(&["https://B.example"]);
        let mut origins = Origins {
            listed: vec!["https://b.example".into()],
            any: false,
        };
        assert!(origins.check(&foreign, Some("a.example")).is_ok());
        origins.listed[0].push_str(":444");
        let error = origins.check(&foreign, Some("a.example")).unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
        assert!(error.to_string().contains("'https://B.example'"));
        assert!(error.to_string().contains("WSWORKER_ORIGINS"));
        origins.any = true;
        assert!(origins.check(&foreign, Some("a.example")).is_ok());
    }
}
