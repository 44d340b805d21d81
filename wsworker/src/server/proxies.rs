//! Which proxies are believed, and what they say of the client (RFC 7239).
//! Does no I/O; a header from anyone else is never looked at.

use std::net::{IpAddr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::error::{Error, Result};

/// The proxies whose `Forwarded` or `X-Forwarded-For` is believed.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    nets: Vec<IpNet>,
    /// Whoever connects to a Unix socket is one.
    unix: bool,
}

impl Proxies {
    /// From networks (`10.0.0.0/8`), addresses (`::1`) and the word `unix`.
    pub(super) fn parse(list: &[String]) -> Result<Self> {
        let mut proxies = Self::default();
        for text in list {
            if text == "unix" {
                proxies.unix = true;
            } else if let Ok(net) = text.parse::<IpNet>() {
                proxies.nets.push(net);
            } else if let Ok(ip) = text.parse::<IpAddr>() {
                proxies.nets.push(ip.into());
            } else {
                return Err(Error::config(format!(
                    "trusted proxy '{text}': wanted a network such as 10.0.0.0/8, \
                     an address such as ::1, or unix"
                )));
            }
        }
        Ok(proxies)
    }

    /// Is the peer a proxy that is believed? `None` is a peer on a Unix socket.
    pub(super) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(ip) => self.nets.iter().any(|net| net.contains(&ip)),
            None => self.unix,
        }
    }

    /// Who sent the request: the peer, or what trusted proxies say.
    ///
    /// Each proxy appends who it heard, so only what stands right of the first
    /// untrusted address is known; it is walked from the right. An address
    /// without a port has port 0.
    ///
    /// If `Forwarded` and `X-Forwarded-For` are both there and disagree, one of
    /// them came from the client, past a proxy that writes only the other. Then
    /// neither is believed.
    pub(super) fn client(
        &self,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Option<SocketAddr> {
        if !self.trusts(peer.map(|peer| peer.ip())) {
            return peer;
        }
        let forwarded = headers.contains_key(FORWARDED);
        let x_forwarded = headers.contains_key(X_FORWARDED_FOR);
        let by_forwarded = || self.walk(peer, forwarded_for(headers));
        let by_x_forwarded = || self.walk(peer, x_forwarded_for(headers));
        match (forwarded, x_forwarded) {
            (false, false) => peer,
            (true, false) => by_forwarded(),
            (false, true) => by_x_forwarded(),
            (true, true) => by_forwarded()
                .filter(|client| by_x_forwarded().is_some_and(|other| other.ip() == client.ip()))
                .or(peer),
        }
    }

    /// Did the client use TLS to a trusted proxy, if one says so? What the
    /// nearest one says counts, and it did not if that says two things.
    pub(super) fn secure(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<bool> {
        if !self.trusts(peer.map(|peer| peer.ip())) {
            return None;
        }
        let last = |name| headers.get_all(name).iter().next_back()?.to_str().ok();
        let forwarded = last(&FORWARDED).and_then(|text| {
            let element = split_unquoted(text, ',').last()?;
            parameter(element, "proto")
        });
        let x_forwarded = last(&X_FORWARDED_PROTO);
        let x_forwarded = x_forwarded.and_then(|text| text.rsplit(',').next());
        let is_https = |text: &str| text.trim().eq_ignore_ascii_case("https");
        match (forwarded, x_forwarded) {
            (None, None) => None,
            (one, other) => Some(one.is_none_or(is_https) && other.is_none_or(is_https)),
        }
    }

    /// The rightmost hop that is not trusted; if what is there cannot be read,
    /// the one that said so.
    fn walk(&self, peer: Option<SocketAddr>, hops: Vec<Option<SocketAddr>>) -> Option<SocketAddr> {
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            let Some(hop) = hop else { break };
            client = Some(hop);
            if !self.trusts(Some(hop.ip())) {
                break;
            }
        }
        client
    }
}

/// The hops of `X-Forwarded-For`, in the order written; `None` is one that
/// cannot be read.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<SocketAddr>> {
    let mut hops = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        match value.to_str() {
            Ok(text) => hops.extend(text.split(',').map(node)),
            Err(_) => hops.push(None),
        }
    }
    hops
}

/// The `for` of each element of `Forwarded` (RFC 7239 §4).
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<SocketAddr>> {
    let mut hops = Vec::new();
    for value in headers.get_all(FORWARDED) {
        match value.to_str() {
            Ok(text) => hops.extend(split_unquoted(text, ',').map(element)),
            Err(_) => hops.push(None),
        }
    }
    hops
}

/// `for=192.0.2.60;proto=http;by=203.0.113.43`
fn element(text: &str) -> Option<SocketAddr> {
    node(parameter(text, "for")?)
}

/// The value of this parameter, without its quotes.
fn parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    split_unquoted(element, ';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case(wanted) {
            return None;
        }
        let value = value.trim();
        // No address or scheme needs an escape, so one is not worth undoing.
        let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        Some(quoted.unwrap_or(value))
    })
}

/// An address with or without a port, IPv6 in brackets or, in
/// `X-Forwarded-For`, bare. `unknown` and `_hidden` are none (RFC 7239 §6).
fn node(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let (ip, port) = if let Ok(addr) = text.parse::<SocketAddr>() {
        (addr.ip(), addr.port())
    } else {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        (bare.unwrap_or(text).parse().ok()?, 0)
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// Splits at what stands outside quotes.
fn split_unquoted(text: &str, at: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if quoted && !was_escaped => escaped = true,
            '"' if !was_escaped => quoted = !quoted,
            _ => {}
        }
        c == at && !quoted
    })
}

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn proxies(list: &[&str]) -> Proxies {
        let list: Vec<_> = list.iter().map(|s| (*s).to_owned()).collect();
        Proxies::parse(&list).unwrap()
    }

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let proxies = proxies(&["10.0.0.0/8", "::1"]);
        let found = proxies.client(Some(peer.parse().unwrap()), &map);
        found.unwrap().to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let seen = client("192.0.2.1:5", &[("x-forwarded-for", "1.1.1.1")]);
        assert_eq!(seen, "192.0.2.1:5");
    }

    #[test]
    fn a_proxy_that_says_nothing_is_the_client() {
        assert_eq!(client("10.0.0.1:5", &[]), "10.0.0.1:5");
    }

    #[test]
    fn x_forwarded_for_is_walked_from_the_right_past_trusted_ones() {
        let cases = [
            (&["1.1.1.1"][..], "1.1.1.1:0"),
            (&["6.6.6.6, 1.1.1.1"], "1.1.1.1:0"),
            (&["6.6.6.6, 1.1.1.1, 10.0.0.2,10.3.3.3"], "1.1.1.1:0"),
            (&["6.6.6.6", "1.1.1.1", "10.0.0.2"], "1.1.1.1:0"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
            (&["2001:db8::1"], "[2001:db8::1]:0"),
            (&["[2001:db8::1]:99"], "[2001:db8::1]:99"),
            (&["1.1.1.1:99"], "1.1.1.1:99"),
            (&["::ffff:1.1.1.1"], "1.1.1.1:0"),
            // What cannot be read hides all that is left of it.
            (&["1.1.1.1, unknown"], "10.0.0.1:5"),
            (&["1.1.1.1, garbage, 10.0.0.2"], "10.0.0.2:0"),
            (&[""], "10.0.0.1:5"),
        ];
        for (values, wanted) in cases {
            let headers: Vec<_> = values.iter().map(|v| ("x-forwarded-for", *v)).collect();
            assert_eq!(client("10.0.0.1:5", &headers), wanted, "{values:?}");
        }
    }

    #[test]
    fn forwarded_is_read_by_the_rfc() {
        let cases = [
            ("for=1.1.1.1", "1.1.1.1:0"),
            (
                "For=\"[2001:db8:cafe::17]:4711\"",
                "[2001:db8:cafe::17]:4711",
            ),
            (
                "for=6.6.6.6, proto=http; FOR=1.1.1.1;by=10.0.0.9",
                "1.1.1.1:0",
            ),
            ("for=1.1.1.1;host=\"a,b;for=6.6.6.6\"", "1.1.1.1:0"),
            ("for=1.1.1.1;host=\"a\\\",for=6.6.6.6\"", "1.1.1.1:0"),
            ("for=1.1.1.1, for=10.0.0.2", "1.1.1.1:0"),
            ("for=1.1.1.1, for=_hidden", "10.0.0.1:5"),
            ("for=1.1.1.1, proto=http", "10.0.0.1:5"),
            ("for=\"unclosed, for=1.1.1.1", "10.0.0.1:5"),
        ];
        for (value, wanted) in cases {
            assert_eq!(
                client("10.0.0.1:5", &[("forwarded", value)]),
                wanted,
                "{value}"
            );
        }
    }

    #[test]
    fn the_scheme_is_what_the_nearest_proxy_says() {
        let cases = [
            (&[][..], None),
            (&[("x-forwarded-proto", "https")], Some(true)),
            (&[("x-forwarded-proto", "http, HTTPS ")], Some(true)),
            (&[("x-forwarded-proto", "https, http")], Some(false)),
            (&[("forwarded", "for=1.1.1.1;proto=https")], Some(true)),
            (
                &[("forwarded", "proto=https, for=1.1.1.1;Proto=\"http\"")],
                Some(false),
            ),
            (
                &[("forwarded", "proto=https"), ("x-forwarded-proto", "http")],
                Some(false),
            ),
            (
                &[("forwarded", "for=1.1.1.1"), ("x-forwarded-proto", "https")],
                Some(true),
            ),
        ];
        for (headers, wanted) in cases {
            let headers = headers
                .iter()
                .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
                .collect();
            let proxy = Some("10.0.0.1:5".parse().unwrap());
            let proxies = proxies(&["10.0.0.0/8"]);
            assert_eq!(proxies.secure(proxy, &headers), wanted, "{headers:?}");
            assert_eq!(proxies.secure(None, &headers), None, "{headers:?}");
        }
    }

    #[test]
    fn two_headers_that_disagree_are_not_believed() {
        let both = |a, b| client("10.0.0.1:5", &[("forwarded", a), ("x-forwarded-for", b)]);
        assert_eq!(both("for=1.1.1.1", "1.1.1.1"), "1.1.1.1:0");
        assert_eq!(both("for=6.6.6.6", "1.1.1.1"), "10.0.0.1:5");
    }

    #[test]
    fn a_unix_peer_may_be_trusted() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1:2"));
        let seen = |list: &[&str]| proxies(list).client(None, &headers);
        assert_eq!(seen(&["unix"]), Some(([1, 1, 1, 1], 2).into()));
        assert_eq!(seen(&["10.0.0.0/8"]), None);
    }

    #[test]
    fn a_wrong_proxy_is_named() {
        let error = Proxies::parse(&["10.0.0.0/40".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("trusted proxy '10.0.0.0/40'"));
    }
}
