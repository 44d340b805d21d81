//! `WebSocket`: what a worker holds of a connection.
//! Does no I/O: everything goes through the connection's handle.
//! `end`: sockets that nobody has accepted; `events`: one that is asked for events.

mod end;
mod events;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

#[allow(unused_imports, reason = "for `client`")]
pub(crate) use self::end::Fetched;
pub use self::end::{WebSocketEnd, WebSocketPair};
pub use self::events::WebSocketEvents;
use crate::connection::{Handle, Slow, State};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::protocol::close::{CloseCode, ClosePayload};
use crate::protocol::message::Message;

/// A connection, to send on and to ask about.
///
/// A cheap clone and usable from any thread: keep it in a list, send from a
/// task. A kept one does not keep the connection alive, nor its descriptor open.
///
/// Messages leave in the order in which they were sent, whoever sent them.
/// What a callback sends is written when the callback has returned or waits,
/// together with what else is to be sent: one system call for many messages.
#[derive(Clone)]
pub struct WebSocket(Way);

/// What is sent goes straight to the connection, or to whoever holds it for a while.
#[derive(Clone)]
enum Way {
    Straight(Arc<Handle>),
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    Held(Arc<dyn Outlet>),
}

/// Holds what is sent on one socket until it may leave: an object does, until its
/// event is committed.
pub(crate) trait Outlet: Any + Send + Sync {
    /// The connection's.
    fn handle(&self) -> &Handle;

    /// As `Handle::send`.
    fn send(self: Arc<Self>, message: Message) -> Result<()>;

    /// As `send`, where the frame can be taken back until it leaves; else `None`, and nothing
    /// has happened.
    fn send_own(&self, message: &Message) -> Option<Result<()>>;

    /// As `Handle::close`.
    fn close(self: Arc<Self>, close: ClosePayload);

    /// The connection's, with what is held.
    fn state(&self) -> State;

    /// Bytes that are held.
    fn held(&self) -> usize;

    /// Waits until what is held lets go of what it can. Gives how many bytes it goes on to
    /// hold; an error if these alone leave no room.
    fn settled(self: Arc<Self>) -> Pin<Box<dyn Future<Output = Result<usize>> + Send>>;
}

/// Names a connection within this process, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(u64);

impl WebSocket {
    pub(crate) fn new(handle: Arc<Handle>) -> Self {
        Self(Way::Straight(handle))
    }

    /// One whose messages are held.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn held(outlet: Arc<dyn Outlet>) -> Self {
        Self(Way::Held(outlet))
    }

    /// Who holds its messages.
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn outlet(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        match &self.0 {
            Way::Straight(_) => None,
            Way::Held(outlet) => Some(outlet.clone()),
        }
    }

    #[inline]
    fn handle(&self) -> &Handle {
        match &self.0 {
            Way::Straight(handle) => handle,
            Way::Held(outlet) => outlet.handle(),
        }
    }

    /// Sends a message. Never waits.
    ///
    /// It succeeds while fewer than `max_buffered` bytes (1 MiB by default) wait
    /// to be written, so that one message may go over it.
    ///
    /// # Errors
    /// [`is_full`](crate::Error::is_full) when the peer reads too slowly: nothing
    /// was queued, and [`ready`](Self::ready) waits for room.
    /// [`is_closed`](crate::Error::is_closed) once either side has closed.
    #[inline]
    pub fn send(&self, message: impl Into<Message>) -> Result<()> {
        match &self.0 {
            Way::Straight(handle) => handle.send(&message.into()),
            Way::Held(outlet) => {
                let message = message.into();
                let own = outlet.send_own(&message);
                own.unwrap_or_else(|| outlet.clone().send(message))
            }
        }
    }

    /// Closes without a code: sends a Close and waits for the peer's, at most
    /// `close_timeout` (5 s by default), then drops the connection.
    ///
    /// What was sent before still goes out. From now on `send` is an error and
    /// no message is delivered any more, as in a browser. Closing twice is no
    /// error.
    pub fn close(&self) -> Result<()> {
        self.close_with_payload(ClosePayload::empty());
        Ok(())
    }

    /// As [`close`](Self::close), with a code and a reason.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) if the code may not be sent
    /// (RFC 6455 §7.4) or the reason is over 123 bytes (§5.5): the socket is as
    /// it was.
    ///
    /// ```
    /// # fn f(ws: &wsworker::WebSocket) -> wsworker::Result<()> {
    /// ws.close_with(4001, "kicked")?;
    /// ws.close_with(wsworker::CloseCode::POLICY, "")?;
    /// # Ok(()) }
    /// ```
    pub fn close_with<C>(&self, code: C, reason: &str) -> Result<()>
    where
        C: TryInto<CloseCode>,
        Error: From<C::Error>,
    {
        self.close_with_payload(ClosePayload::new(code.try_into()?, reason)?);
        Ok(())
    }

    /// Waits until [`send`](Self::send) finds room. If it had to wait, half of
    /// `max_buffered` is free by then.
    ///
    /// Cancel safe: a dropped call changes nothing, and leaves nothing behind.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed) once either side has closed. In an event of an
    /// object, [`is_full`](crate::Error::is_full) where what this event has sent, which leaves
    /// after it, takes all the room.
    pub async fn ready(&self) -> Result<()> {
        let held = match &self.0 {
            Way::Held(outlet) => outlet.clone().settled().await?,
            Way::Straight(_) => 0,
        };
        self.handle().ready(held).await
    }

    /// Bytes that were sent and are not written yet, frame headers included.
    pub fn buffered(&self) -> usize {
        let held = match &self.0 {
            Way::Straight(_) => 0,
            Way::Held(outlet) => outlet.held(),
        };
        self.handle().buffered() + held
    }

    /// Open, closing or closed.
    pub fn state(&self) -> State {
        match &self.0 {
            Way::Straight(handle) => handle.state(),
            Way::Held(outlet) => outlet.state(),
        }
    }

    /// The subprotocol agreed on in the opening handshake, if any.
    pub fn protocol(&self) -> Option<&str> {
        self.handle().protocol()
    }

    /// A name for this connection, unique in this process.
    pub fn id(&self) -> SocketId {
        SocketId(self.handle().id())
    }

    /// The peer's address; behind a trusted proxy the one that it reports. None
    /// on a Unix socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.handle().remote_addr()
    }

    /// The worker's surroundings.
    pub fn env(&self) -> &Env {
        self.handle().env()
    }

    #[inline]
    fn send_message(&self, message: &Message) -> Result<()> {
        match &self.0 {
            Way::Straight(handle) => handle.send(message),
            Way::Held(outlet) => outlet.clone().send(message.clone()),
        }
    }

    fn close_with_payload(&self, payload: ClosePayload) {
        match &self.0 {
            Way::Straight(handle) => handle.close(&payload),
            Way::Held(outlet) => outlet.clone().close(payload),
        }
    }
}

/// Sends one message to many sockets: a closed one is skipped, a full one meets
/// its server's [`Slow`] setting, which closes it with 1013 or drops this
/// message for it. Never waits.
pub fn broadcast<'a>(
    sockets: impl IntoIterator<Item = &'a WebSocket>,
    message: impl Into<Message>,
) {
    let message = message.into();
    for ws in sockets {
        let full = matches!(ws.send_message(&message), Err(error) if error.is_full());
        if full && ws.handle().slow() == Slow::Close {
            ws.close_with_payload(ClosePayload::cut(CloseCode::TRY_AGAIN, "too slow"));
        }
    }
}

/// The same connection?
impl PartialEq for WebSocket {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.handle(), other.handle())
    }
}

impl Eq for WebSocket {}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("id", &self.handle().id())
            .field("state", &self.state())
            .field("remote_addr", &self.remote_addr())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
