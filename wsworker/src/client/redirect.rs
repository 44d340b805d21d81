//! Where a redirect leads and what it makes of a request (RFC 9110 §15.4, and what browsers' `fetch` does).
//! Does not send anything.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use super::target::Target;
use crate::error::{Error, Fault, Result};

/// What a [`Client`](crate::Client) does with a redirect of a plain request. One
/// of a request for a WebSocket is always given back as the response.
///
/// A followed 301 or 302 makes a GET of a POST, a 303 of all but HEAD, without
/// the body; a 307 or 308 sends the request again as it was, which fails for a
/// body that is a stream. On the way to another origin `Authorization` and
/// `Cookie` are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redirect {
    /// Follows as many, one after another; one more is an error. The default, with 10.
    Follow(usize),
    /// Gives it back as the response.
    Manual,
}

impl Default for Redirect {
    fn default() -> Self {
        Self::Follow(10)
    }
}

/// What a redirect asks for.
pub(super) struct Hop {
    pub(super) target: Target,
    pub(super) method: Method,
    /// Is the body sent again?
    pub(super) keeps_body: bool,
}

impl Hop {
    /// What this response to a request asks for; `None` if it is no redirect.
    ///
    /// # Errors
    /// It names no place that can be gone to.
    pub(super) fn of(
        from: &Target,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Self>> {
        let keeps_method = match status.as_u16() {
            301 | 302 => *method != Method::POST,
            303 => [Method::GET, Method::HEAD].contains(method),
            307 | 308 => true,
            _ => return Ok(None),
        };
        let failed = |what: String| {
            let status = status.as_u16();
            Error::fetch(
                Fault::Other,
                format!("{from} redirects with {status}: {what}"),
            )
        };
        let mut locations = headers.get_all(LOCATION).iter();
        let target = match (locations.next(), locations.next()) {
            // A page for a person, then.
            (None, _) => return Ok(None),
            (Some(location), None) => from.join(location).map_err(|e| failed(e.to_string()))?,
            _ => return Err(failed("'location' must be given once".to_owned())),
        };
        Ok(Some(Self {
            target,
            method: if keeps_method {
                method.clone()
            } else {
                Method::GET
            },
            keeps_body: keeps_method,
        }))
    }

    /// Takes from the headers of the request what does not go on.
    pub(super) fn strip(&self, from: &Target, headers: &mut HeaderMap) {
        if !self.keeps_body {
            drop_all(headers, &OF_A_BODY);
        }
        if !from.is_same_origin(&self.target) {
            drop_all(headers, &SECRETS);
        }
    }
}

fn drop_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

const OF_A_BODY: [HeaderName; 5] = [
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_TYPE,
];
const SECRETS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn target(url: &str) -> Target {
        Target::new(&url.parse().unwrap()).unwrap()
    }

    fn hop(method: &Method, status: u16, locations: &[&'static str]) -> Result<Option<Hop>> {
        let mut headers = HeaderMap::new();
        for location in locations {
            headers.append(LOCATION, HeaderValue::from_static(location));
        }
        let status = StatusCode::from_u16(status).unwrap();
        Hop::of(&target("http://a.example/x"), method, status, &headers)
    }

    #[test]
    fn methods_and_bodies_go_on_as_in_browsers() {
        for (status, method, wanted, keeps_body) in [
            (301, Method::POST, Method::GET, false),
            (302, Method::POST, Method::GET, false),
            (303, Method::POST, Method::GET, false),
            (307, Method::POST, Method::POST, true),
            (308, Method::POST, Method::POST, true),
            (301, Method::PUT, Method::PUT, true),
            (302, Method::DELETE, Method::DELETE, true),
            (303, Method::PUT, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, true),
            (302, Method::HEAD, Method::HEAD, true),
            (301, Method::GET, Method::GET, true),
        ] {
            let hop = hop(&method, status, &["/y"]).unwrap().unwrap();
            assert_eq!(hop.method, wanted, "{status} {method}");
            assert_eq!(hop.keeps_body, keeps_body, "{status} {method}");
            assert_eq!(hop.target.uri().to_string(), "http://a.example/y");
        }
    }

    #[test]
    fn what_is_no_redirect_is_a_response() {
        for status in [200, 300, 304, 305, 404] {
            assert!(hop(&Method::GET, status, &["/y"]).unwrap().is_none());
        }
        assert!(hop(&Method::GET, 302, &[]).unwrap().is_none());
    }

    #[test]
    fn a_place_that_cannot_be_gone_to_is_an_error() {
        let failed = |locations: &[&'static str]| {
            let error = hop(&Method::GET, 302, locations).err().unwrap();
            assert!(error.is_fetch());
            error.to_string()
        };
        assert_eq!(
            failed(&["/y", "/z"]),
            "http://a.example redirects with 302: 'location' must be given once"
        );
        assert_eq!(
            failed(&["data:text/plain,x"]),
            "http://a.example redirects with 302: 'location' must lead to http or https, got 'data'"
        );
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        let sent = |to: &'static str, status| {
            let mut headers = HeaderMap::new();
            for name in ["authorization", "cookie", "content-type", "accept"] {
                headers.insert(name, HeaderValue::from_static("x"));
            }
            let from = target("http://a.example/x");
            let hop = hop(&Method::POST, status, &[to]).unwrap().unwrap();
            hop.strip(&from, &mut headers);
            let mut names: Vec<_> = headers.keys().map(|n| n.as_str().to_owned()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(sent("/y", 307), "accept authorization content-type cookie");
        assert_eq!(sent("/y", 302), "accept authorization cookie");
        assert_eq!(sent("http://b.example/", 307), "accept content-type");
        assert_eq!(sent("http://a.example:81/", 302), "accept");
        assert_eq!(sent("https://a.example/", 302), "accept");
    }
}
