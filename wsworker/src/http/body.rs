//! A request's or a response's body: bytes that are there, or a stream of chunks.
//! Does not know who sends or receives it: the server and the client hand in
//! what hyper gives them, and hyper polls what goes out.

mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use self::read::Bound;
pub use self::read::ReadBody;
use crate::error::{Error, Result};

/// The body of a request or a response: bytes that are there as a whole, or a
/// stream of chunks.
///
/// Whoever reads asks for each chunk ([`chunk`](Self::chunk), or as a
/// [`Stream`]), and nothing is fetched before: a slow reader slows the sender.
/// [`ReadBody`] reads it as a whole. Trailers are dropped.
///
/// A body can be read once. What a client sent is bounded by
/// [`Server::max_body`](crate::Server::max_body), however it is read.
pub struct Body {
    kind: Kind,
    bound: Bound,
}

enum Kind {
    /// Goes out as one piece; free to make, also when it is empty.
    Whole(Bytes),
    /// Read to its end, or failed.
    Over,
    // A lock that is never waited for: it makes a request `Sync` though a stream
    // need not be.
    Streaming(Mutex<Pin<Box<dyn Chunks>>>),
}

trait Chunks: HttpBody<Data = Bytes, Error = Error> + Send {}
impl<T: HttpBody<Data = Bytes, Error = Error> + Send> Chunks for T {}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// A body that is sent as the stream gives it, each chunk when the one
    /// before it is on its way.
    ///
    /// An error of the stream aborts what is being sent, so that the receiver
    /// does not take a part for the whole: a response ends with its connection
    /// (which a client of HTTP/1.0 cannot tell from its end).
    ///
    /// ```
    /// # use wsworker::Body;
    /// # fn f(lines: impl futures_core::Stream<Item = wsworker::Result<String>> + Send + 'static) {
    /// let body = Body::stream(lines);
    /// # }
    /// ```
    pub fn stream<S, B, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes> + 'static,
        E: Into<Error> + 'static,
    {
        Self::streaming(Streamed { stream }, Bound::none())
    }

    /// A body of the `http` crate's kind. Its trailers are dropped.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Error: Into<Error>> + Send + 'static,
    {
        Self::foreign(body, Bound::none())
    }

    /// The next chunk, never an empty one; `None` at the end, and after an error.
    ///
    /// Cancel safe: a dropped call loses no bytes.
    ///
    /// # Errors
    /// The body did not come as a whole; of a request, see
    /// [`ReadBody`](ReadBody#errors).
    pub async fn chunk(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The next chunk, if it is there without waiting.
    #[cfg(feature = "client")]
    pub(super) fn chunk_at_once(&mut self) -> Option<Bytes> {
        let polled = self.poll_chunk(&mut Context::from_waker(std::task::Waker::noop()));
        match polled {
            Poll::Ready(Some(Ok(chunk))) => Some(chunk),
            _ => None,
        }
    }

    /// How many bytes are still to come, if that is known.
    pub fn length(&self) -> Option<u64> {
        HttpBody::size_hint(self).exact()
    }

    /// Can it make whoever asks for it wait?
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Streaming(_))
    }

    /// What a client sends with a request.
    pub(crate) fn of_request<B>(body: B, limit: usize) -> Self
    where
        B: HttpBody<Error: Into<Error>> + Send + 'static,
    {
        Self::foreign(body, Bound::request(limit))
    }

    /// What another server answers with.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn of_response<B>(body: B) -> Self
    where
        B: HttpBody<Error: Into<Error>> + Send + 'static,
    {
        Self::foreign(body, Bound::response())
    }

    /// The same body once more, if its bytes are there.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn again(&self) -> Option<Self> {
        match &self.kind {
            Kind::Whole(bytes) => Some(Self::whole(bytes.clone())),
            Kind::Over | Kind::Streaming(_) => None,
        }
    }

    fn foreign<B>(body: B, bound: Bound) -> Self
    where
        B: HttpBody<Error: Into<Error>> + Send + 'static,
    {
        match body.is_end_stream() {
            // No box for the many requests without a body.
            true => Self {
                kind: Kind::Whole(Bytes::new()),
                bound,
            },
            false => Self::streaming(Foreign { body }, bound),
        }
    }

    fn whole(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Whole(bytes),
            bound: Bound::none(),
        }
    }

    fn streaming(body: impl Chunks + 'static, bound: Bound) -> Self {
        Self {
            kind: Kind::Streaming(Mutex::new(Box::pin(body))),
            bound,
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let polled = match &mut self.kind {
            Kind::Whole(bytes) if bytes.is_empty() => Ok(None),
            Kind::Whole(bytes) => Ok(Some(std::mem::take(bytes))),
            Kind::Over => Ok(None),
            Kind::Streaming(body) => {
                let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                match self.bound.expects(body.size_hint().lower()) {
                    Ok(()) => ready!(next_data(body.as_mut(), cx)),
                    Err(error) => Err(error),
                }
            }
        };
        let polled = polled.and_then(|chunk| {
            let length = chunk.as_ref().map_or(0, Bytes::len);
            self.bound.take(length).map(|()| chunk)
        });
        if !matches!(polled, Ok(Some(_))) {
            self.kind = Kind::Over;
        }
        Poll::Ready(polled.transpose())
    }

    fn with_stream<T>(&self, ask: impl FnOnce(&dyn Chunks) -> T) -> Option<T> {
        match &self.kind {
            Kind::Streaming(body) => {
                let body = body.lock().unwrap_or_else(PoisonError::into_inner);
                Some(ask(&**body))
            }
            _ => None,
        }
    }
}

/// The next data that is not empty.
fn next_data(mut body: Pin<&mut dyn Chunks>, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
    loop {
        // Hyper tells the end of a body of known length late if its response is
        // over: with the next request.
        if body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        let frame = ready!(body.as_mut().poll_frame(cx)).transpose()?;
        let Some(frame) = frame else {
            return Poll::Ready(Ok(None));
        };
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Poll::Ready(Ok(Some(data)));
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.poll_chunk(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Over => true,
            Kind::Streaming(_) => self.with_stream(|body| body.is_end_stream()) == Some(true),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Over => SizeHint::with_exact(0),
            Kind::Streaming(_) => self
                .with_stream(|body| body.size_hint())
                .unwrap_or_default(),
        }
    }
}

/// Its chunks, as [`chunk`](Body::chunk) gives them.
impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.poll_chunk(cx)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

macro_rules! from_bytes {
    ($($source:ty),*) => {$(
        impl From<$source> for Body {
            fn from(source: $source) -> Self {
                Self::whole(source.into())
            }
        }
    )*};
}

from_bytes!(&'static str, String, &'static [u8], Vec<u8>, Bytes);

/// Not its bytes, which may be secret: how many there are.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Over => f.write_str("Body(read)"),
            Kind::Streaming(_) => f.write_str("Body(stream)"),
        }
    }
}

pin_project! {
    /// A stream as a body.
    struct Streamed<S> {
        #[pin]
        stream: S,
    }
}

impl<S, B, E> HttpBody for Streamed<S>
where
    S: Stream<Item = Result<B, E>>,
    B: Into<Bytes>,
    E: Into<Error>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let item = ready!(self.project().stream.poll_next(cx));
        Poll::Ready(item.map(|item| match item {
            Ok(data) => Ok(Frame::data(data.into())),
            Err(error) => Err(error.into()),
        }))
    }
}

pin_project! {
    /// Another's body, with our types.
    struct Foreign<B> {
        #[pin]
        body: B,
    }
}

impl<B: HttpBody<Error: Into<Error>>> HttpBody for Foreign<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| match frame {
            // Free of a copy where it is `Bytes` already, as hyper's is.
            Ok(frame) => Ok(frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))),
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
