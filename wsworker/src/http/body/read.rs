//! Reading a body as a whole, and how much of it may be read.
//! Does not get the bytes: `Body` does.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::{Body, Kind};
use crate::error::{Error, Result};
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
/// A dropped call loses what was read so far.
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
        self.bound.whole = true;
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
        serde_json::from_slice(&bytes).map_err(|error| {
            self.bound
                .unfit(format!("the body is not the JSON that was wanted: {error}"))
        })
    }
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

    /// Looks at what is to come at least, before anything is asked for: a client
    /// that waits for a 100 need not send it.
    pub(super) fn starts(&self, at_least: u64) -> Result<()> {
        self.fits(self.taken.saturating_add(at_least))
    }

    /// Counts a chunk.
    pub(super) fn take(&mut self, length: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(length as u64);
        self.fits(self.taken)
    }

    fn fits(&self, length: u64) -> Result<()> {
        let counts = self.whole || self.whose == Whose::Request;
        if !counts || length <= self.limit {
            return Ok(());
        }
        let message = format!("the body is over the limit of {} bytes", self.limit);
        Err(match self.whose {
            Whose::Request => Error::rejected(StatusCode::PAYLOAD_TOO_LARGE, message),
            Whose::Ours | Whose::Response => Error::new(message),
        })
    }

    /// The bytes are there and not what was asked for.
    fn unfit(&self, message: String) -> Error {
        match self.whose {
            Whose::Request => Error::rejected(StatusCode::BAD_REQUEST, message),
            Whose::Ours | Whose::Response => Error::new(message),
        }
    }
}

/// Of a fetched response, read as a whole.
const MAX_FETCHED: u64 = 16 << 20;
