//! Origins as a browser sends them: `scheme://host` or `scheme://host:port` (RFC 6454 §6.2).
//! Compares nothing: which origins are equal is the server's to say.

use std::net::Ipv6Addr;

/// Whether a browser could send `text`, else what to write instead.
pub(crate) fn check(text: &str) -> Result<(), String> {
    const EXAMPLE: &str = "write it as a browser sends it, such as `\"https://a.example\"` or \
                           `\"http://localhost:3000\"`";
    let wrong = |what: &str| Err(format!("{what}: {EXAMPLE}"));
    if text == "*" {
        return Err(
            "`*` is not an origin: to accept every site, call `accept_any_origin()` on `Server`"
                .to_owned(),
        );
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("an origin has a scheme and a host");
    };
    if !is_scheme(scheme) {
        return wrong(&format!("`{scheme}` is not a scheme"));
    }
    if let Some(page) = match scheme.to_ascii_lowercase().as_str() {
        "ws" => Some("http"),
        "wss" => Some("https"),
        _ => None,
    } {
        return Err(format!(
            "an origin has the scheme of the page: write `\"{page}://{rest}\"`"
        ));
    }
    if let Some(end) = rest.find(['/', '?', '#']) {
        let origin = &text[..scheme.len() + 3 + end];
        return Err(format!("an origin has no path: write `{origin:?}`"));
    }
    let (host, port) = split_port(rest);
    if !is_host(host) {
        return wrong(&format!("`{host}` is not a host"));
    }
    match port {
        Some(port) if !is_port(port) => wrong(&format!("`{port}` is not a port")),
        _ => Ok(()),
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// An address in brackets, or a name. A browser sends a name in another script as punycode.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))
        }
    }
}

fn is_port(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// The last colon that is not within brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_sends_is_accepted() {
        for origin in [
            "https://a.example",
            "http://localhost:3000",
            "http://127.0.0.1",
            "https://[::1]",
            "https://[::1]:8443",
            "chrome-extension://abcdefgh",
        ] {
            assert_eq!(check(origin), Ok(()), "{origin:?}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/chat",
            "https://a.example?x",
            "https://user@a.example",
            "https://a.example:",
            "https://a.example:0",
            "https://a.example:65536",
            "https://a.example:+1",
            "https://*.a.example",
            "https://[::1",
            "https://a b",
            "https://é.example",
            "wss://a.example",
            "1s://a",
        ] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_message_shows_the_origin_without_its_path() {
        let message = check("https://a.example/chat").unwrap_err();
        assert!(
            message.ends_with("write `\"https://a.example\"`"),
            "{message}"
        );
        let message = check("wss://a.example").unwrap_err();
        assert!(
            message.ends_with("write `\"https://a.example\"`"),
            "{message}"
        );
    }
}
