//! Reading a body as a whole, and how much of it may be read.
//! Does not get the bytes: `Body` does.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{Body, Kind};
use crate::error::{Error, Result};
use crate::http::query::from_form;
use crate::http::{Request, Response};

/// Reads a body: of a [`Request`], of a [`Response`] that was fetched, or a
/// [`Body`] by itself. A trait, since `Response::text` and `Response::json` make
/// one; it is in the prelude.
///
/// ```
/// use wsworker::prelude::*;
/// # async fn f(mut req: Request) -> Result<Response> {
/// let name = req.text().await?;
/// Ok(Response::text(format!("hello {name}")))
/// # }
/// ```
///
/// Not cancel safe: what a dropped call has read is lost, and the next one is
/// an error. [`Body::chunk`] is cancel safe.
///
/// # Errors
/// The body did not come as a whole, or it was read already. What is wrong with
/// a *request's* body stands for the response that says so, so `?` in `fetch`
/// gives it: 413 over the limit, 408 if it stops coming, 400 if it is broken off
/// or not what was asked for.
pub trait ReadBody: HasBody {
    /// The body as bytes.
    fn bytes(&mut self) -> impl Future<Output = Result<Bytes>> + Send {
        self.body_mut().read()
    }

    /// The body as text, which must be UTF-8.
    fn text(&mut self) -> impl Future<Output = Result<String>> + Send {
        self.body_mut().read_text()
    }

    /// The body as JSON. What does not parse is an error that says where.
    fn json<T: DeserializeOwned>(&mut self) -> impl Future<Output = Result<T>> + Send {
        self.body_mut().read_json()
    }

    /// The body as an HTML form sends it by POST (`application/x-www-form-urlencoded`);
    /// a field that is a `Vec` takes all values of its name.
    fn form<T: DeserializeOwned>(&mut self) -> impl Future<Output = Result<T>> + Send {
        self.body_mut().read_form()
    }

    /// Another limit than the default, in bytes: `req.max_body(64 << 20).bytes().await`.
    ///
    /// Of a request it bounds all that is read of the body, also by
    /// [`Body::chunk`]; the default is [`Server::max_body`](crate::Server::max_body).
    /// Of a fetched response it bounds what is read as a whole, 16 MiB by
    /// default; chunks of it come without a limit. A body of this program's own
    /// has no limit by default.
    fn max_body(&mut self, bytes: usize) -> &mut Self {
        self.body_mut().bound.limit = bytes as u64;
        self
    }
}

impl<T: HasBody> ReadBody for T {}

/// What has a body to read.
pub trait HasBody: Send {
    #[doc(hidden)]
    fn body_mut(&mut self) -> &mut Body;
}

impl HasBody for Body {
    fn body_mut(&mut self) -> &mut Body {
        self
    }
}

impl HasBody for Request {
    fn body_mut(&mut self) -> &mut Body {
        Request::body_mut(self)
    }
}

impl HasBody for Response {
    fn body_mut(&mut self) -> &mut Body {
        Response::body_mut(self)
    }
}

impl Body {
    async fn read(&mut self) -> Result<Bytes> {
        if let Kind::Over = self.kind {
            return Err(Error::invalid("the body has been read already"));
        }
        if std::mem::replace(&mut self.bound.whole, true) {
            return Err(Error::invalid(
                "the body is no longer whole: reading it was given up halfway",
            ));
        }
        // Against what was promised, nothing is reserved for bytes that have not come.
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await.transpose()? {
            match first.is_empty() && all.is_empty() {
                true => first = chunk,
                false => {
                    all.extend_from_slice(&std::mem::take(&mut first));
                    all.extend_from_slice(&chunk);
                }
            }
        }
        Ok(match all.is_empty() {
            true => first,
            false => all.freeze(),
        })
    }

    async fn read_text(&mut self) -> Result<String> {
        let bytes = self.read().await?;
        String::from_utf8(bytes.into()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            self.bound
                .unfit(format!("the body is not UTF-8 from byte {at} on"))
        })
    }

    async fn read_json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.read().await?;
        from_json(&bytes).map_err(|error| {
            let message = format!("the body is not the JSON that was wanted: {error}");
            self.bound.unfit(message)
        })
    }

    async fn read_form<T: DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.read().await?;
        from_form(&bytes).map_err(|error| {
            let message = format!("the body is not the form that was wanted: {error}");
            self.bound.unfit(message)
        })
    }
}

/// A type from JSON; the error says which field, line and column.
fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| e.to_string())?;
    // What stands behind the value is a mistake too.
    json.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// How much may be read, and whose fault it is when something is wrong.
pub(super) struct Bound {
    whose: Whose,
    limit: u64,
    taken: u64,
    /// It is read as a whole.
    whole: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Made in this program.
    Ours,
    /// A client's request.
    Request,
    /// A server's answer to our request.
    Response,
}

impl Bound {
    pub(super) fn none() -> Self {
        Self::new(Whose::Ours, u64::MAX)
    }

    pub(super) fn request(limit: usize) -> Self {
        Self::new(Whose::Request, limit as u64)
    }

    pub(super) fn response() -> Self {
        Self::new(Whose::Response, MAX_FETCHED)
    }

    fn new(whose: Whose, limit: u64) -> Self {
        Self {
            whose,
            limit,
            taken: 0,
            whole: false,
        }
    }

    /// Looks at how many bytes are still to come, before any is asked for: a
    /// client that waits for a 100 need not send them.
    pub(super) fn expects(&self, at_least: u64) -> Result<()> {
        let all = self.taken.saturating_add(at_least);
        match self.fits(all) {
            true => Ok(()),
            false => Err(self.too_large(format!("the body has {all} bytes"))),
        }
    }

    /// Counts a chunk.
    pub(super) fn take(&mut self, length: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(length as u64);
        match self.fits(self.taken) {
            true => Ok(()),
            false => Err(self.too_large(format!("the body has more than {} bytes", self.limit))),
        }
    }

    fn fits(&self, length: u64) -> bool {
        let counts = self.whole || self.whose == Whose::Request;
        !counts || length <= self.limit
    }

    #[cold]
    fn too_large(&self, seen: String) -> Error {
        let message = format!("{seen}; the limit is {}", self.limit);
        match self.whose {
            // What is left of it is not read.
            Whose::Request => Error::rejected_for_good(StatusCode::PAYLOAD_TOO_LARGE, message),
            Whose::Ours | Whose::Response => Error::new(message),
        }
    }

    /// The bytes are there and not what was asked for.
    fn unfit(&self, mut message: String) -> Error {
        // It may repeat a long text of the body.
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
            message.truncate(end);
            message.push('…');
        }
        match self.whose {
            Whose::Request => Error::rejected(StatusCode::BAD_REQUEST, message),
            Whose::Ours | Whose::Response => Error::new(message),
        }
    }
}

/// Of a fetched response, read as a whole.
const MAX_FETCHED: u64 = 16 << 20;
/// Characters of what is said of a body that does not fit.
const MAX_MESSAGE: usize = 300;
