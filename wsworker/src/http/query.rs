//! The query of a request's target: `?page=2&tag=a&tag=b`.
//! Does not know who sent it: what does not fit is the client's mistake.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use http::uri::PathAndQuery;
use serde::de::DeserializeOwned;

use super::builder::RequestBuilder;
use super::request::Request;
use crate::error::{Error, Result};

impl Request {
    /// The query as a type of yours; a field that is a `Vec` takes all values of
    /// its name.
    ///
    /// ```
    /// # use wsworker::{Request, Result};
    /// #[derive(serde::Deserialize)]
    /// struct Page {
    ///     #[serde(default)]
    ///     number: u32,
    ///     #[serde(default)]
    ///     tag: Vec<String>,
    /// }
    /// # fn f(req: &Request) -> Result<()> {
    /// let page: Page = req.query()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// It does not fit; stands for 400 with what was wrong.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let query = self.uri().query().unwrap_or_default();
        from_form(query.as_bytes()).map_err(|error| {
            let message = format!("the query is not what was wanted: {error}");
            Error::rejected(StatusCode::BAD_REQUEST, message)
        })
    }

    /// The first value of this name in the query, decoded: `+` is a space, and
    /// what is not UTF-8 becomes U+FFFD.
    pub fn query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.uri().query()?;
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(found, _)| found == name).map(|(_, v)| v)
    }
}

impl RequestBuilder {
    /// Adds a pair to the query of the URL, encoded.
    pub fn query_param(mut self, name: &str, value: &str) -> Self {
        let uri = self.uri_mut();
        // What CONNECT and `OPTIONS *` ask for (RFC 9112 §3.2).
        if !uri.path().starts_with('/') {
            let message = "a URL without a path can have no query";
            return self.failed(Error::invalid(message));
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair(name, value);
        let (path, pair) = (uri.path(), query.finish());
        let text = match uri.query() {
            None | Some("") => format!("{path}?{pair}"),
            Some(before) => format!("{path}?{before}&{pair}"),
        };
        let mut parts = std::mem::take(uri).into_parts();
        match PathAndQuery::try_from(text) {
            Ok(new) => parts.path_and_query = Some(new),
            // Too long.
            Err(error) => return self.failed(error.into()),
        }
        *self.uri_mut() = parts.try_into().expect("only the query is another");
        self
    }
}

/// A type from an encoded form; the error says which field.
pub(super) fn from_form<T: DeserializeOwned>(form: &[u8]) -> Result<T, impl fmt::Display> {
    let pairs = form_urlencoded::parse(form);
    serde_path_to_error::deserialize(serde_html_form::Deserializer::new(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> Request {
        let request = http::Request::get(target).body(()).unwrap();
        request.into()
    }

    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Page {
        number: u32,
        #[serde(default)]
        tag: Vec<String>,
    }

    #[test]
    fn a_query_becomes_a_type() {
        let page: Page = request("/?number=2&tag=a+b&tag=%C3%A9").query().unwrap();
        let tag = vec!["a b".to_owned(), "é".to_owned()];
        assert_eq!(page, Page { number: 2, tag });
        let pairs: Vec<(String, String)> = request("/").query().unwrap();
        assert_eq!(pairs, []);
    }

    #[test]
    fn a_query_that_does_not_fit_is_400() {
        let cases = [
            ("/", "missing field `number`"),
            ("/?number=x", "number: invalid digit found in string"),
            ("/?number=1&number=2", "number: unsupported value"),
        ];
        for (target, wanted) in cases {
            let error = request(target).query::<Page>().unwrap_err();
            assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST), "{target}");
            let wanted = format!("the query is not what was wanted: {wanted}");
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn a_single_one_is_found_by_its_name() {
        let request = request("/?a=1&b=x+y%26&a=2&c");
        assert_eq!(request.query_param("a").as_deref(), Some("1"));
        assert_eq!(request.query_param("b").as_deref(), Some("x y&"));
        assert_eq!(request.query_param("c").as_deref(), Some(""));
        assert_eq!(request.query_param("d"), None);
    }

    #[test]
    fn a_target_that_can_have_no_query_is_an_error() {
        for target in ["a.example:443", "*"] {
            let mut came = http::Request::options(target).body(()).unwrap();
            if target != "*" {
                *came.method_mut() = http::Method::CONNECT;
            }
            let built = Request::from(came).into_builder().query_param("a", "b");
            let error = built.build().unwrap_err();
            assert!(error.is_invalid());
            assert_eq!(error.to_string(), "a URL without a path can have no query");
        }
    }

    #[test]
    fn pairs_are_added_to_a_url() {
        let built = Request::get("http://a/x")
            .query_param("q", "a b&c")
            .query_param("é", "1")
            .build()
            .unwrap();
        assert_eq!(built.url(), "http://a/x?q=a+b%26c&%C3%A9=1");
    }
}
