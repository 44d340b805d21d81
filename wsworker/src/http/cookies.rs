//! Cookies of a request and of a response.
//! Does not keep, sign or encrypt them.

use std::borrow::Cow;

use cookie::Cookie;
use http::HeaderValue;
use http::header::{COOKIE, SET_COOKIE};
use percent_encoding::percent_decode_str;

use super::builder::RequestBuilder;
use super::request::Request;
use super::response::Response;
use crate::error::{Error, Result};

impl Request {
    /// The value of the first cookie of this name, percent-decoded. `None` too
    /// if that is not UTF-8.
    ///
    /// The name is compared as it was sent, or as [`Response::cookie`] encodes it:
    /// decoded, `__%48ost-id` would be taken for `__Host-id`, which browsers guard.
    pub fn cookie(&self, name: &str) -> Option<Cow<'_, str>> {
        let encoded = Cookie::new(name, "").stripped().encoded().to_string();
        let encoded = encoded.trim_end_matches('=');
        let values = self.headers().get_all(COOKIE).iter();
        // RFC 9113 §8.2.3: HTTP/2 may split them over several headers. Each is read
        // by itself: whatever bytes a page has put into one, it hides no other.
        let pairs = values.flat_map(|value| value.as_bytes().split(|b| *b == b';'));
        let texts = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
        let mut cookies = texts.filter_map(|text| text.split_once('='));
        let (_, value) = cookies.find(|(found, _)| {
            let found = found.trim();
            !found.is_empty() && (found == name || found == encoded)
        })?;
        percent_decode_str(value.trim()).decode_utf8().ok()
    }
}

impl RequestBuilder {
    /// Adds a cookie, percent-encoded.
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        let cookie = Cookie::new(name, value).stripped().encoded().to_string();
        let before = self.headers().get_all(COOKIE).iter();
        let mut all: Vec<_> = before.map(HeaderValue::as_bytes).collect();
        all.push(cookie.as_bytes());
        // RFC 6265 §5.4: one header has them all.
        let value = HeaderValue::try_from(all.join(&b"; "[..]));
        let value = value.expect("headers and what is percent-encoded fit");
        self.headers_mut().insert(COOKIE, value);
        self
    }
}

impl Response {
    /// Sets a cookie in the browser, its name and value percent-encoded. Each
    /// call adds one.
    ///
    /// ```
    /// use wsworker::Response;
    /// use wsworker::cookie::{Cookie, SameSite};
    ///
    /// let session = Cookie::build(("session", "7f3a"))
    ///     .path("/")
    ///     .http_only(true)
    ///     .secure(true)
    ///     .same_site(SameSite::Lax);
    /// let response = Response::text("welcome").cookie(session).cookie(("seen", "yes"));
    /// # assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    /// ```
    ///
    /// # Panics
    /// If the path or the domain of it holds what would end it: a `;`, a line's
    /// end or the like. For parts that are not constants use
    /// [`try_cookie`](Self::try_cookie).
    #[track_caller]
    pub fn cookie(self, cookie: impl Into<Cookie<'static>>) -> Self {
        match self.try_cookie(cookie) {
            Ok(response) => response,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`cookie`](Self::cookie), for a path or a domain that is not a constant.
    ///
    /// # Errors
    /// The path or the domain holds what would end it.
    pub fn try_cookie(mut self, cookie: impl Into<Cookie<'static>>) -> Result<Self> {
        let cookie = cookie.into();
        let name = cookie.name();
        let ends = |text: &str| text.bytes().any(|b| b == b';' || b.is_ascii_control());
        for (what, text) in [("path", cookie.path()), ("domain", cookie.domain())] {
            if text.is_some_and(ends) {
                let message = format!("the {what} of the cookie {name:?} cannot be one");
                return Err(Error::invalid(message));
            }
        }
        let value = HeaderValue::try_from(cookie.encoded().to_string())
            .map_err(|_| Error::invalid(format!("the cookie {name:?} cannot be a header")))?;
        self.headers_mut().append(SET_COOKIE, value);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookies: &[&'static str]) -> Request {
        let mut request = http::Request::new(());
        for text in cookies {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            request.headers_mut().append(COOKIE, value);
        }
        request.into()
    }

    #[test]
    fn a_cookie_is_found_by_its_name_and_decoded() {
        let request = request(&["a=1; b = two ;;c", "d=a%20b%3B; a=2; e=%ff; f=\"q\""]);
        let value = |name| request.cookie(name);
        assert_eq!(value("a").as_deref(), Some("1"));
        assert_eq!(value("b").as_deref(), Some("two"));
        assert_eq!(value("d").as_deref(), Some("a b;"));
        assert_eq!(value("f").as_deref(), Some("\"q\""));
        for name in ["c", "e", "A", ""] {
            assert_eq!(value(name), None, "{name}");
        }
    }

    #[test]
    fn a_cookie_of_other_bytes_hides_no_other() {
        let request = request(&["a=\u{e9}; b=1", "c=2"]);
        let value = |name| request.cookie(name);
        assert_eq!(value("a").as_deref(), Some("\u{e9}"));
        assert_eq!(value("b").as_deref(), Some("1"));
        assert_eq!(value("c").as_deref(), Some("2"));
        let value = HeaderValue::from_bytes(b"a=\xff; b=1").unwrap();
        let mut latin = http::Request::new(());
        latin.headers_mut().insert(COOKIE, value);
        let request = Request::from(latin);
        assert_eq!(request.cookie("a"), None);
        assert_eq!(request.cookie("b").as_deref(), Some("1"));
    }

    #[test]
    fn a_name_is_not_decoded() {
        let request = request(&["__%48ost-id=evil; __Host-id=good", "a[]=1; my%20name=2"]);
        let value = |name| request.cookie(name);
        assert_eq!(value("__Host-id").as_deref(), Some("good"));
        assert_eq!(value("a[]").as_deref(), Some("1"));
        assert_eq!(value("my name").as_deref(), Some("2"));
    }

    #[test]
    fn a_cookie_that_is_added_replaces_none() {
        let sent = request(&["a=\u{e9}", "b=1"])
            .into_builder()
            .cookie("c", "2");
        let sent = sent.build().unwrap();
        let values: Vec<_> = sent.headers().get_all(COOKIE).iter().collect();
        assert_eq!(values, ["a=\u{e9}; b=1; c=2"]);
    }

    #[test]
    fn what_is_set_comes_back() {
        let value = "a b; c=d,\"é\"\n%";
        let response = Response::text("").cookie(("my name", value));
        let set = response.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(!set.contains([';', ' ', '"', '\n']), "{set}");
        let sent = Request::get("http://a/")
            .cookie("x", "1")
            .cookie("my name", value);
        let sent = sent.build().unwrap();
        assert_eq!(sent.header("cookie").unwrap(), format!("x=1; {set}"));
        assert_eq!(sent.cookie("my name").as_deref(), Some(value));
    }

    #[test]
    fn an_attribute_cannot_bring_others_along() {
        for path in ["/; Domain=evil.example", "/\r\nx: y"] {
            let cookie = Cookie::build(("a", "b")).path(path);
            assert!(Response::text("").try_cookie(cookie).is_err(), "{path:?}");
        }
    }
}
