//! Where a request goes: an absolute URL, checked once, and the way from one to the next.
//! Does not resolve names.

use std::fmt;
use std::net::Ipv6Addr;

use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use super::reference::resolve;
use crate::error::{Error, Result};
use crate::http::encode_url;

/// An absolute `http`, `https`, `ws` or `wss` URL.
///
/// Shows as its origin alone: path and query may be secrets.
#[derive(Clone)]
pub(super) struct Target {
    /// `http` or `https`, a host in lower case, a port unless it is the scheme's, a path.
    uri: Uri,
    /// Was the scheme `ws` or `wss`?
    is_socket: bool,
}

impl Target {
    /// # Errors
    /// It is not absolute, of another scheme, or its host or port cannot be one.
    pub(super) fn new(uri: &Uri) -> Result<Self> {
        let (scheme, is_socket) = match uri.scheme_str() {
            Some("http") => (Scheme::HTTP, false),
            Some("https") => (Scheme::HTTPS, false),
            Some("ws") => (Scheme::HTTP, true),
            Some("wss") => (Scheme::HTTPS, true),
            Some(other) => return Err(wanted(format!("got the scheme '{other}'"))),
            None => return Err(wanted("got none with a scheme and a host")),
        };
        let Some(authority) = uri.authority() else {
            return Err(wanted("got none with a host"));
        };
        let host = authority.as_str();
        if host.contains('@') {
            // What was seen is a secret.
            return Err(Error::invalid(
                "a URL with a user or a password in it cannot be fetched; \
                 send an 'authorization' header instead",
            ));
        }
        let default_port = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let mut parts = Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(clean_authority(host, default_port)?);
        let root = || PathAndQuery::from_static("/");
        parts.path_and_query = Some(uri.path_and_query().cloned().unwrap_or_else(root));
        Ok(Self {
            uri: Uri::from_parts(parts).expect("a scheme, a host and a path are a URL"),
            is_socket,
        })
    }

    /// The URL that a `Location` names, seen from here (RFC 3986 §5.2). A
    /// fragment is not sent anywhere, so it is dropped.
    ///
    /// # Errors
    /// It is no URL, or not of the schemes `http` and `https`.
    pub(super) fn join(&self, location: &HeaderValue) -> Result<Self> {
        // Real servers send spaces and UTF-8 in it; browsers take them.
        let location = encode_url(location.as_bytes());
        let joined = resolve(&self.uri.to_string(), &location);
        let scheme = joined.split(':').next().unwrap_or_default();
        if !["http", "https"]
            .iter()
            .any(|s| s.eq_ignore_ascii_case(scheme))
        {
            return Err(Error::invalid(format!(
                "'location' must lead to http or https, got '{scheme}'"
            )));
        }
        let uri: Uri = joined.parse().map_err(|_| no_url(&location))?;
        Self::new(&uri)
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Path and query alone, as a request has them that goes over a connection to
    /// this host (RFC 9112 §3.2.1).
    pub(super) fn origin_form(&self) -> Uri {
        let path = self.uri.path_and_query().cloned();
        path.map(Uri::from).unwrap_or_default()
    }

    pub(super) fn is_socket(&self) -> bool {
        self.is_socket
    }

    pub(super) fn is_secure(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// What `Host` says: host and port, without the scheme's own port.
    pub(super) fn host(&self) -> HeaderValue {
        let authority = self.uri.authority().expect("a target has a host");
        HeaderValue::from_str(authority.as_str()).expect("a host is visible ASCII")
    }

    /// Same scheme, host and port (RFC 6454 §4).
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        self.uri.scheme() == other.uri.scheme() && self.uri.authority() == other.uri.authority()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self.uri.authority().map_or("", Authority::as_str);
        write!(f, "{scheme}://{authority}")
    }
}

/// In lower case, with a port unless it is the default one. What the `http`
/// crate lets pass and nobody could connect to is found here.
fn clean_authority(text: &str, default_port: u16) -> Result<Authority> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']').map_or(text.len(), |end| end + 2),
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(literal) => {
            let address: Ipv6Addr = literal
                .parse()
                .map_err(|_| wanted(format!("'[{literal}]' is no IPv6 address")))?;
            format!("[{address}]")
        }
        None => host.to_ascii_lowercase(),
    };
    let port: Option<u16> = match rest.strip_prefix(':') {
        // RFC 3986 §3.2.3: it may be left out with or without its colon.
        None if rest.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(wanted(format!("port {digits} is not between 1 and 65535"))),
        },
        _ => return Err(wanted(format!("'{text}' is no host with a port"))),
    };
    let authority = match port.filter(|port| *port != default_port) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    match authority.parse() {
        Ok(parsed) if !authority.starts_with(':') && !authority.is_empty() => Ok(parsed),
        _ => Err(wanted(format!("'{text}' is no host"))),
    }
}

fn wanted(seen: impl fmt::Display) -> Error {
    Error::invalid(format!(
        "fetch wants an absolute URL as in https://example.com/path \
         (http, https, ws or wss): {seen}"
    ))
}

/// Shows no more than the path: a query holds tokens, a user a password.
fn no_url(location: &str) -> Error {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let shown = match &location[..end] {
        secret if secret.contains('@') => "one with a user in it",
        path => path.get(..80).unwrap_or(path),
    };
    Error::invalid(format!("'location' must be a URL, got '{shown}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::new(&url.parse().unwrap()).unwrap()
    }

    fn refused(url: &str) -> String {
        let uri: Uri = url.parse().unwrap();
        let error = Target::new(&uri).err();
        let error = error.unwrap_or_else(|| panic!("{url} is taken"));
        assert!(error.is_invalid());
        error.to_string()
    }

    #[test]
    fn a_url_is_made_plain() {
        for (url, wanted, host) in [
            ("http://a.example", "http://a.example/", "a.example"),
            ("HTTP://A.Example:80/X", "http://a.example/X", "a.example"),
            (
                "https://a.example:443?q",
                "https://a.example/?q",
                "a.example",
            ),
            (
                "http://a.example:443/",
                "http://a.example:443/",
                "a.example:443",
            ),
            (
                "ws://a.example:81/x#y",
                "http://a.example:81/x",
                "a.example:81",
            ),
            ("wss://a.example/", "https://a.example/", "a.example"),
            ("http://a.example:/", "http://a.example/", "a.example"),
            ("http://[::1]:8787/", "http://[::1]:8787/", "[::1]:8787"),
            ("http://[0:0::0001]:80/", "http://[::1]/", "[::1]"),
        ] {
            let target = target(url);
            assert_eq!(target.uri().to_string(), wanted, "{url}");
            assert_eq!(target.host(), host, "{url}");
            assert_eq!(target.is_socket(), url.starts_with("ws"), "{url}");
            assert_eq!(target.is_secure(), wanted.starts_with("https"), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_to_fetch_is_said() {
        for (url, wanted) in [
            ("/path", "got none with a scheme and a host"),
            ("a.example", "got none with a scheme and a host"),
            ("a.example:80", "got none with a scheme and a host"),
            ("ftp://a.example/", "got the scheme 'ftp'"),
            ("http://a.example:99999/", "port 99999 is not between"),
            ("http://a.example:0/", "port 0 is not between"),
            ("http://[1::2::3]/", "'[1::2::3]' is no IPv6 address"),
        ] {
            let error = refused(url);
            assert!(error.contains(wanted), "{url}: {error}");
        }
    }

    #[test]
    fn a_url_with_a_user_is_refused_and_not_shown() {
        for url in ["http://u:secret@a.example/", "ws://secret@a.example/"] {
            let error = refused(url);
            assert!(error.contains("send an 'authorization' header instead"));
            assert!(!error.contains("secret"));
        }
        let base = target("http://a.example/");
        let location = HeaderValue::from_static("//u:secret@a.example/");
        let error = base.join(&location).err().unwrap().to_string();
        assert!(error.contains("a user or a password") && !error.contains("secret"));
        assert_eq!(
            target("http://a.example:81/secret?secret").to_string(),
            "http://a.example:81"
        );
    }

    #[test]
    fn a_location_is_read_from_where_it_was_found() {
        let base = target("http://a.example/x/y?q");
        for (location, wanted) in [
            ("z", "http://a.example/x/z"),
            ("../z?r", "http://a.example/z?r"),
            ("/z", "http://a.example/z"),
            ("?r", "http://a.example/x/y?r"),
            ("#f", "http://a.example/x/y?q"),
            ("", "http://a.example/x/y?q"),
            ("//b.example/z", "http://b.example/z"),
            ("https://b.example", "https://b.example/"),
            ("HTTP://B.example:80/z#f", "http://b.example/z"),
            ("/a b/\"<>", "http://a.example/a%20b/%22%3C%3E"),
            ("/a%20b?c[]=%", "http://a.example/a%20b?c[]=%"),
        ] {
            let joined = base.join(&HeaderValue::from_static(location)).unwrap();
            assert_eq!(joined.uri().to_string(), wanted, "{location}");
        }
        let utf8 = HeaderValue::from_bytes("/ü".as_bytes()).unwrap();
        assert_eq!(base.join(&utf8).unwrap().uri().path(), "/%C3%BC");
    }

    #[test]
    fn a_location_that_cannot_be_followed_keeps_its_secrets() {
        let base = target("http://a.example/");
        for (location, wanted) in [
            (
                "http://[zz/secret",
                "'location' must be a URL, got 'http://[zz/secret'",
            ),
            (
                "http://[zz?secret",
                "'location' must be a URL, got 'http://[zz'",
            ),
            ("http://u:secret@[", "got 'one with a user in it'"),
            (
                "ftp://b.example/secret",
                "must lead to http or https, got 'ftp'",
            ),
            ("javascript:secret()", "got 'javascript'"),
            ("ws://b.example/", "got 'ws'"),
        ] {
            let error = base
                .join(&HeaderValue::from_static(location))
                .err()
                .unwrap();
            assert!(error.to_string().contains(wanted), "{location}: {error}");
        }
    }

    #[test]
    fn origins_are_compared() {
        let a = target("http://a.example/x");
        assert!(a.is_same_origin(&target("http://A.example:80/y")));
        assert!(a.is_same_origin(&target("ws://a.example")));
        for other in [
            "https://a.example",
            "http://a.example:81",
            "http://b.a.example",
        ] {
            assert!(!a.is_same_origin(&target(other)), "{other}");
        }
    }

    #[test]
    fn whatever_is_said_leads_to_a_server_or_is_an_error() {
        use rand::prelude::*;
        let seed: u64 = rand::random();
        let mut random = StdRng::seed_from_u64(seed);
        let parts = [
            "http:",
            "https:",
            "ws:",
            "//",
            "/",
            "..",
            ".",
            "?",
            "#",
            "[",
            "]",
            "::1",
            "@",
            ":",
            "80",
            "65536",
            "%",
            "%41",
            " ",
            "a",
            "A.example",
            "*",
            "\u{e9}",
            "\\",
            "_",
            "-",
            "~",
            "<",
        ];
        for _ in 0..20_000 {
            let mut text = || {
                let count = random.random_range(0..8);
                let some = (0..count).map(|_| *parts.choose(&mut random).unwrap());
                some.collect::<String>()
            };
            let (base, location) = (format!("http://{}", text()), text());
            let Some(base) = base.parse().ok().and_then(|base| Target::new(&base).ok()) else {
                continue;
            };
            let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
            if let Ok(target) = base.join(&location) {
                let uri = target.uri();
                let seen = format!("seed {seed}: {base}, {location:?}: {uri}");
                assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{seen}");
                assert!(uri.host().is_some_and(|host| !host.is_empty()), "{seen}");
                assert!(uri.path().starts_with('/'), "{seen}");
                assert_eq!(target.host(), uri.authority().unwrap().as_str(), "{seen}");
                // What was made plain is so.
                assert_eq!(Target::new(uri).unwrap().uri(), uri, "{seen}");
            }
        }
    }
}
