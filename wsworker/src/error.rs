//! The one error type of the crate: opaque, sorted by whose fault it is.
//! Does not decide what happens next; whoever gets it does.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use http::{HeaderMap, HeaderValue, StatusCode, header};

/// What a call of this crate, or a worker's own code, gives back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate or of a worker's own code.
///
/// Opaque on purpose: ask it with [`is_full`](Self::is_full),
/// [`is_closed`](Self::is_closed) and the like. It prints as one readable
/// chain, with `Debug` too, since `main` may return it. One that comes out of a
/// Durable Object begins with whose it is, `Room.join: …`: with its class's name and
/// the method, of each object that it came through.
///
/// Every standard error converts into it, so `?` works in a worker's callbacks.
/// That is so because it is no [`std::error::Error`] itself, as with `anyhow`.
/// Where one is wanted, [`into_std`](Self::into_std) makes it one; an error that
/// is boxed already comes in by [`from_std`](Self::from_std).
///
/// ```
/// use wsworker::{Error, Result, WebSocket};
///
/// type Boxed = Box<dyn std::error::Error + Send + Sync>;
///
/// /// Into it: `?` is enough.
/// fn parse(text: &str) -> Result<u16> {
///     Ok(text.parse()?)
/// }
///
/// /// Out of it, in a function with another kind of error.
/// fn greet(ws: &WebSocket) -> std::result::Result<(), Boxed> {
///     ws.send("hello").map_err(Error::into_std)?;
///     Ok(())
/// }
///
/// /// Into it, from a function with a boxed error: `anyhow`'s converts so too.
/// fn greet_again(ws: &WebSocket) -> Result<()> {
///     greet(ws).map_err(Error::from_std)
/// }
/// # assert_eq!(parse("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    /// Whose it is: `Room.join: `, perhaps several, the outermost first.
    whose: String,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Sorted by fault: the peer's, the application's, the operator's, the system's.
#[derive(Debug)]
#[cfg_attr(not(feature = "client"), allow(dead_code))]
enum Kind {
    /// The peer broke the protocol; the code that its Close deserves.
    Protocol(u16),
    /// A server's answer to a request for a WebSocket is no valid one.
    Handshake,
    /// A `fetch` got no response.
    Fetch(Fault),
    /// The request is answered with this status instead of the response.
    Rejected(StatusCode, Option<Box<HeaderMap>>),
    /// The socket's queue holds `max_buffered` bytes.
    Full,
    /// The socket is closed or closing.
    Closed,
    /// A value that the called function does not take.
    Invalid,
    /// A text, perhaps a client's, that is not what it is to be.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    Unreadable,
    /// A worker's code failed.
    Application,
    /// A worker's code panicked.
    Panic,
    /// An event of an object did not happen: it, or a commit that it builds on, failed.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    Undone,
    /// Too many calls wait for an object.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    Overloaded,
    /// Two objects would wait for each other.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    Deadlock,
    /// An object's event took too long.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    TooSlow,
    /// What an object's SQL wrote breaks a constraint of its tables.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    Constraint,
    /// A setting is wrong.
    Config,
    /// What keeps the state of objects failed.
    Storage,
    /// The operating system said no.
    Io,
}

/// Why a `fetch` got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) enum Fault {
    /// It took too long.
    Timeout,
    /// The address is one that the client was told to refuse.
    PrivateAddress,
    /// No connection, or no HTTP on it.
    Other,
}

impl Error {
    /// An error of the application's own, with a text for the log.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Application, message, None)
    }

    /// What keeps the state of objects failed: for whoever implements a storage.
    pub fn storage(
        message: impl Into<Cow<'static, str>>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::with(Kind::Storage, message, source)
    }

    /// The socket's queue is full: the peer reads more slowly than we send.
    /// Nothing was queued; [`WebSocket::ready`](crate::WebSocket::ready) waits for room.
    pub fn is_full(&self) -> bool {
        matches!(self.0.kind, Kind::Full)
    }

    /// The socket is closed, or a Close has been sent or answered on it.
    pub fn is_closed(&self) -> bool {
        matches!(self.0.kind, Kind::Closed)
    }

    /// A value was given that cannot be used: a close code that may not be
    /// sent, a reason that is too long, a subprotocol that was not offered.
    pub fn is_invalid(&self) -> bool {
        matches!(self.0.kind, Kind::Invalid | Kind::Unreadable)
    }

    /// The peer broke RFC 6455 or a limit.
    pub fn is_protocol(&self) -> bool {
        matches!(self.0.kind, Kind::Protocol(_))
    }

    /// A server's answer to a request for a WebSocket breaks RFC 6455 §4.1, so
    /// that there is no WebSocket.
    pub fn is_handshake(&self) -> bool {
        matches!(self.0.kind, Kind::Handshake)
    }

    /// A `fetch` got no response: the server could not be reached or trusted, was
    /// too slow, spoke no HTTP or redirected without end. A response of any
    /// status is no error.
    pub fn is_fetch(&self) -> bool {
        matches!(self.0.kind, Kind::Fetch(_))
    }

    /// A `fetch` took longer than one of its limits, or an object's event longer
    /// than its deadline.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, Kind::Fetch(Fault::Timeout) | Kind::TooSlow)
    }

    /// An event of an object did not happen: nothing of it is stored or was sent.
    #[cfg(feature = "objects")]
    pub fn is_undone(&self) -> bool {
        matches!(self.0.kind, Kind::Undone)
    }

    /// Too many calls wait for an object already, or too many databases of objects are open.
    /// Answers 503.
    #[cfg(feature = "objects")]
    pub fn is_overloaded(&self) -> bool {
        matches!(self.0.kind, Kind::Overloaded)
    }

    /// A call between objects would have waited for itself.
    #[cfg(feature = "objects")]
    pub fn is_deadlock(&self) -> bool {
        matches!(self.0.kind, Kind::Deadlock)
    }

    /// What an object's SQL was to write breaks a constraint of its tables, such as
    /// `UNIQUE` or `NOT NULL`. Nothing of it was written.
    #[cfg(feature = "objects")]
    pub fn is_constraint(&self) -> bool {
        matches!(self.0.kind, Kind::Constraint)
    }

    /// A `fetch` was refused as it would have gone to a private address.
    pub fn is_private_address(&self) -> bool {
        matches!(self.0.kind, Kind::Fetch(Fault::PrivateAddress))
    }

    /// A callback panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.kind, Kind::Panic)
    }

    /// A setting is wrong, or there are settings that do not go together.
    pub fn is_config(&self) -> bool {
        matches!(self.0.kind, Kind::Config)
    }

    /// What keeps the state of objects failed: a full disk, a database that is damaged
    /// or in use, a commit that did not happen.
    pub fn is_storage(&self) -> bool {
        matches!(self.0.kind, Kind::Storage)
    }

    /// The operating system refused: an address that is taken, a reset.
    pub fn is_io(&self) -> bool {
        matches!(self.0.kind, Kind::Io)
    }

    /// The close code that the peer's violation deserves (RFC 6455 §7.4.1),
    /// if this is one.
    pub fn close_code(&self) -> Option<u16> {
        match self.0.kind {
            Kind::Protocol(code) => Some(code),
            _ => None,
        }
    }

    /// The HTTP status that answers the request, if this error stands for one:
    /// what [`Request::upgrade`](crate::Request::upgrade) refuses with, or what
    /// is wrong with a request's query or body, or with the digits of an object's id.
    pub fn status(&self) -> Option<StatusCode> {
        match self.0.kind {
            Kind::Rejected(status, _) => Some(status),
            Kind::Unreadable => Some(StatusCode::BAD_REQUEST),
            Kind::Overloaded => Some(StatusCode::SERVICE_UNAVAILABLE),
            _ => None,
        }
    }

    pub(crate) fn protocol(code: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Protocol(code), message, None)
    }

    pub(crate) fn rejected(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Rejected(status, None), message, None)
    }

    pub(crate) fn rejected_with(
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
        headers: HeaderMap,
    ) -> Self {
        let kind = Kind::Rejected(status, Some(Box::new(headers)));
        Self::with(kind, message, None)
    }

    /// A rejection after which the connection cannot be used any more.
    pub(crate) fn rejected_for_good(
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let close = (header::CONNECTION, HeaderValue::from_static("close"));
        Self::rejected_with(status, message, [close].into_iter().collect())
    }

    #[cfg(feature = "client")]
    pub(crate) fn handshake(what: impl fmt::Display) -> Self {
        let message = format!("the WebSocket handshake failed: {what}");
        Self::with(Kind::Handshake, message, None)
    }

    #[cfg(feature = "client")]
    pub(crate) fn fetch(fault: Fault, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Fetch(fault), message, None)
    }

    pub(crate) fn full(buffered: usize, limit: usize) -> Self {
        let message = format!("the socket is full: {buffered} bytes wait, the limit is {limit}");
        Self::with(Kind::Full, message, None)
    }

    pub(crate) fn closed() -> Self {
        Self::with(Kind::Closed, "the socket is closed", None)
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Invalid, message, None)
    }

    /// Such texts come from clients: it stands for 400.
    #[cfg(feature = "objects")]
    pub(crate) fn unreadable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Unreadable, message, None)
    }

    pub(crate) fn panic(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Panic, message, None)
    }

    pub(crate) fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::with(Kind::Config, message, None)
    }

    pub(crate) fn io(context: impl Into<Cow<'static, str>>, source: std::io::Error) -> Self {
        Self::with(Kind::Io, context, Some(Box::new(source)))
    }

    /// An object's event did not happen.
    #[cfg(feature = "objects")]
    pub(crate) fn undone(why: impl fmt::Display) -> Self {
        let message = format!("the event is undone: {why}");
        Self::with(Kind::Undone, message, None)
    }

    /// A commit failed.
    #[cfg(feature = "objects")]
    pub(crate) fn commit(why: &str) -> Self {
        Self::undone(format_args!("its commit failed: {why}"))
    }

    /// An object holds too much that it has sent.
    #[cfg(feature = "objects")]
    pub(crate) fn held(held: usize, limit: usize) -> Self {
        let message = format!("the event has sent {held} bytes, the limit is {limit}");
        Self::with(Kind::Full, message, None)
    }

    #[cfg(feature = "objects")]
    pub(crate) fn overloaded(limit: usize) -> Self {
        // A client may get to see it: no id, which may be a secret.
        let message = format!("{limit} calls wait already, the limit");
        Self::with(Kind::Overloaded, message, None)
    }

    /// Objects' databases, each of which takes files of the process.
    #[cfg(feature = "objects")]
    pub(crate) fn too_many_databases(limit: usize) -> Self {
        let message = format!("{limit} databases of objects are open, the limit");
        Self::with(Kind::Overloaded, message, None)
    }

    /// `cycle`: who would wait for whom.
    #[cfg(feature = "objects")]
    pub(crate) fn deadlock(cycle: &str) -> Self {
        let message = format!("this call would wait for itself: {cycle}");
        Self::with(Kind::Deadlock, message, None)
    }

    #[cfg(feature = "objects")]
    pub(crate) fn too_slow(what: &str, time: std::time::Duration) -> Self {
        let message = format!("{what} longer than {time:?}");
        Self::with(Kind::TooSlow, message, None)
    }

    /// SQL that broke a constraint.
    #[cfg(feature = "objects")]
    pub(crate) fn constraint(what: impl fmt::Display) -> Self {
        Self::with(Kind::Constraint, format!("SQL: {what}"), None)
    }

    /// SQL that was still running at its event's deadline.
    #[cfg(feature = "objects")]
    pub(crate) fn interrupted() -> Self {
        let message = "the SQL was interrupted: it was still running at its event's deadline";
        Self::with(Kind::TooSlow, message, None)
    }

    /// Headers that go with a rejection's status: `Allow`, `Upgrade` and the like.
    pub(crate) fn rejection_headers(&self) -> Option<&HeaderMap> {
        match &self.0.kind {
            Kind::Rejected(_, headers) => headers.as_deref(),
            _ => None,
        }
    }

    /// The same error, said to be of this method of an object.
    #[cfg(feature = "objects")]
    pub(crate) fn of_method(mut self, class: &str, method: &str) -> Self {
        self.0.whose.insert_str(0, &format!("{class}.{method}: "));
        self
    }

    /// The text without its sources, and without whose it is.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    fn with(
        kind: Kind,
        message: impl Into<Cow<'static, str>>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let message = message.into();
        Self(Box::new(Inner {
            kind,
            whose: String::new(),
            message,
            source,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.whose)?;
        f.write_str(&self.0.message)?;
        let mut source = self.0.source.as_deref().map(|s| s as &dyn StdError);
        // An application's error shows as itself: its own text leads.
        let mut separator = if self.0.message.is_empty() { "" } else { ": " };
        while let Some(error) = source {
            write!(f, "{separator}{error}")?;
            separator = ": ";
            source = error.source();
        }
        Ok(())
    }
}

/// The same chain as `Display`: what `main` prints when it returns an error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// `Error` itself is no `std::error::Error`, as with `anyhow`: that is what lets
// every standard error convert into it.
impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::with(Kind::Application, "", Some(Box::new(error)))
    }
}

impl Error {
    /// The error as a standard one, for code that asks for a
    /// `Box<dyn std::error::Error + Send + Sync>`.
    pub fn into_std(self) -> Box<dyn StdError + Send + Sync> {
        Box::new(Chain(self))
    }

    /// From a standard error in a box, or what converts into one, such as
    /// `anyhow::Error`. One that [`into_std`](Self::into_std) made is what it was.
    pub fn from_std(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match error.into().downcast::<Chain>() {
            Ok(chain) => chain.0,
            Err(other) => Self::with(Kind::Application, "", Some(other)),
        }
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        error.into_std()
    }
}

#[derive(Debug)]
struct Chain(Error);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Chain {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_a_chain() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::io("cannot listen on 127.0.0.1:1", io);
        assert_eq!(
            format!("{error:?}"),
            "cannot listen on 127.0.0.1:1: disk on fire"
        );
        assert!(error.is_io());
    }

    #[test]
    fn a_storage_gives_its_own_error() {
        let full = std::io::Error::other("disk full");
        let error = Error::storage("cannot commit", Some(full.into()));
        assert!(error.is_storage() && !error.is_io());
        assert_eq!(error.to_string(), "cannot commit: disk full");
    }

    #[test]
    fn a_standard_error_converts_and_leads_with_its_own_text() {
        let error: Error = "x".parse::<u8>().unwrap_err().into();
        assert_eq!(error.to_string(), "invalid digit found in string");
    }

    #[test]
    fn an_error_is_the_same_after_the_way_out_and_in() {
        let error = Error::from_std(Error::full(9, 8).into_std());
        assert!(error.is_full());
        let boxed: Box<dyn StdError + Send + Sync> = "on fire".into();
        assert_eq!(Error::from_std(boxed).to_string(), "on fire");
    }
}
