//! Which route a path takes: patterns with parameters.
//! Does not call anything and does not know methods: it finds a value.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// Finds the route of a path, with its parameters.
///
/// Built once, for instance in a `LazyLock` or an `Arc` field of the worker, it
/// is asked from anywhere; how long a look-up takes does not depend on the number of routes.
///
/// - `{name}` is a parameter: one part of a path, not empty, or the rest of one
///   as in `/@{user}`; `{*rest}` is all that is left, slashes too.
/// - What stands there without a parameter goes before what has one.
/// - A path is compared as it was sent, and a slash at its end counts. `..` is a
///   part as any other: a parameter, decoded, may hold `../` too, so check one that
///   is to name a file.
/// - `{{` and `}}` stand for braces.
///
/// ```
/// use std::sync::LazyLock;
/// use wsworker::Router;
/// use wsworker::prelude::*;
///
/// enum Page {
///     Home,
///     Room,
///     User,
/// }
///
/// static ROUTES: LazyLock<Router<Page>> = LazyLock::new(|| {
///     Router::new()
///         .route("/", Page::Home)
///         .route("/room/{name}", Page::Room)
///         .route("/user/{id}", Page::User)
/// });
///
/// # #[worker]
/// # #[derive(Clone)]
/// # struct Site;
/// impl Worker for Site {
///     async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
///         match ROUTES.at(req.path()) {
///             Some((Page::Home, _)) => Ok(Response::html("<h1>hello</h1>")),
///             Some((Page::Room, params)) => {
///                 let name = params.get("name")?; // "caf%C3%A9" is "café" here
///                 Ok(Response::text(format!("the room {name}")))
///             }
///             Some((Page::User, params)) => {
///                 let id: u64 = params.parse("id")?; // or a 400 that says what was seen
///                 Response::json(&id)
///             }
///             None => Response::error("Not found", 404),
///         }
///     }
/// #    async fn on_message(&mut self, _: &WebSocket, _: Message) -> Result<()> { Ok(()) }
/// }
/// ```
#[derive(Clone)]
pub struct Router<T> {
    routes: matchit::Router<T>,
    /// In the order given.
    patterns: Vec<String>,
}

impl<T> Router<T> {
    /// No routes.
    pub fn new() -> Self {
        Self {
            routes: matchit::Router::new(),
            patterns: Vec::new(),
        }
    }

    /// Adds a route.
    ///
    /// # Panics
    /// If the pattern is none, or takes the same paths as one before it. For
    /// patterns that are not constants use [`try_route`](Self::try_route).
    #[track_caller]
    pub fn route(self, pattern: &str, value: T) -> Self {
        match self.try_route(pattern, value) {
            Ok(router) => router,
            Err(error) => panic!("{error}"),
        }
    }

    /// Like [`route`](Self::route), for a pattern that is not a constant.
    ///
    /// # Errors
    /// The pattern is none, or takes the same paths as one before it.
    pub fn try_route(mut self, pattern: &str, value: T) -> Result<Self> {
        if !pattern.starts_with('/') {
            let message = format!("the route '{pattern}' must begin with a slash");
            return Err(Error::invalid(message));
        }
        match self.routes.insert(pattern, value) {
            Ok(()) => self.patterns.push(pattern.to_owned()),
            Err(error) => return Err(Error::invalid(wrong(pattern, &error))),
        }
        Ok(self)
    }

    /// The route that this path takes: `req.path()`, as it was sent.
    pub fn at<'a>(&'a self, path: &'a str) -> Option<(&'a T, Params<'a>)> {
        let found = self.routes.at(path).ok()?;
        Some((found.value, Params(found.params)))
    }
}

fn wrong(pattern: &str, error: &matchit::InsertError) -> String {
    use matchit::InsertError;
    let why = match error {
        InsertError::Conflict { with } => format!("'{with}' takes the same paths"),
        InsertError::InvalidParamSegment => {
            "there can be one parameter between two slashes".to_owned()
        }
        InsertError::InvalidCatchAll => "'{*name}' can only be its last part".to_owned(),
        InsertError::InvalidParam => {
            "a parameter is '{name}' or '{*name}', a brace by itself '{{' or '}}'".to_owned()
        }
        other => other.to_string(),
    };
    format!("the route '{pattern}' cannot be: {why}")
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.patterns).finish()
    }
}

/// The parameters of a path that took a route.
#[derive(Clone)]
pub struct Params<'a>(matchit::Params<'a, 'a>);

impl<'a> Params<'a> {
    /// The parameter's text, percent-decoded.
    ///
    /// # Errors
    /// What was sent has a `%` without two hexadecimal digits, or is not UTF-8, which
    /// stands for 400; or the route has no such parameter, which is the program's mistake.
    pub fn get(&self, name: &str) -> Result<Cow<'a, str>> {
        let Some(raw) = self.0.get(name) else {
            let names: Vec<_> = self.0.iter().map(|(name, _)| name).collect();
            return Err(Error::invalid(format!(
                "the route has no parameter '{name}'; it has: {}",
                names.join(", ")
            )));
        };
        let wrong = |what| {
            let message = format!("'{raw}' in the path {what}");
            Error::rejected(StatusCode::BAD_REQUEST, message)
        };
        // As it is, it would be the same text as one whose `%` was sent as `%25`.
        if !escapes_are_whole(raw) {
            return Err(wrong("has a '%' without two hexadecimal digits"));
        }
        let decoded = percent_decode_str(raw).decode_utf8();
        decoded.map_err(|_| wrong("is not UTF-8"))
    }

    /// The parameter as a number, or whatever else is made from a text.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and 400 if the text is none.
    pub fn parse<V: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<V> {
        let text = self.get(name)?;
        text.parse().map_err(|error| {
            let message = format!("'{text}' in the path is no {name}: {error}");
            Error::rejected(StatusCode::BAD_REQUEST, message)
        })
    }
}

/// RFC 3986 §2.1.
fn escapes_are_whole(text: &str) -> bool {
    let mut escapes = text.split('%').skip(1).map(str::as_bytes);
    escapes.all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

/// As they were sent.
impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> Router<u8> {
        Router::new()
            .route("/", 0)
            .route("/room/{name}", 1)
            .route("/room/lobby", 2)
            .route("/files/{*path}", 3)
            .route("/@{user}/posts/{id}", 4)
    }

    fn at(path: &str) -> Option<u8> {
        router().at(path).map(|(value, _)| *value)
    }

    #[test]
    fn a_path_takes_its_route() {
        let cases = [
            ("/", Some(0)),
            ("/room/7", Some(1)),
            ("/room/lobby", Some(2)),
            ("/room/lobby2", Some(1)),
            ("/files/a/b", Some(3)),
            ("/@anna/posts/1", Some(4)),
            ("/room/", None),
            ("/room", None),
            ("/room/7/", None),
            ("/files/", None),
            ("//", None),
            ("", None),
            ("*", None),
        ];
        for (path, wanted) in cases {
            assert_eq!(at(path), wanted, "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_and_slashes_in_them_do_not_split() {
        let router = router();
        let (_, params) = router.at("/room/caf%C3%A9%2F1+2").unwrap();
        assert_eq!(params.get("name").unwrap(), "café/1+2");
        let (_, params) = router.at("/@anna/posts/12").unwrap();
        assert_eq!(params.get("user").unwrap(), "anna");
        assert_eq!(params.parse::<u64>("id").unwrap(), 12);
    }

    #[test]
    fn a_bad_parameter_is_400_and_an_unknown_one_is_ours() {
        let router = router();
        for (path, wanted) in [
            ("/room/%ff", "'%ff' in the path is not UTF-8"),
            (
                "/room/a%2",
                "'a%2' in the path has a '%' without two hexadecimal digits",
            ),
            (
                "/room/%g0%20",
                "'%g0%20' in the path has a '%' without two hexadecimal digits",
            ),
        ] {
            let (_, params) = router.at(path).unwrap();
            let error = params.get("name").unwrap_err();
            assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
            assert_eq!(error.to_string(), wanted);
        }
        let (_, params) = router.at("/@anna/posts/x").unwrap();
        let error = params.parse::<u64>("id").unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
        assert!(error.to_string().starts_with("'x' in the path is no id: "));
        let error = params.get("nmae").unwrap_err();
        assert_eq!(error.status(), None);
        assert_eq!(
            error.to_string(),
            "the route has no parameter 'nmae'; it has: user, id"
        );
    }

    #[test]
    fn a_bad_pattern_is_said_when_it_is_added() {
        let cases = [
            ("room", "must begin with a slash"),
            ("/room/{id}", "'/room/{name}' takes the same paths"),
            ("/a/{b}-{c}", "one parameter between two slashes"),
            ("/a/{*b}/c", "can only be its last part"),
            ("/a/{b", "a parameter is '{name}'"),
            ("/a/{}", "a parameter is '{name}'"),
        ];
        for (pattern, wanted) in cases {
            let error = router().try_route(pattern, 9).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("the route '{pattern}'")),
                "{error}"
            );
            assert!(error.contains(wanted), "{error}");
        }
    }
}
