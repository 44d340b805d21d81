//! `WebSocketPair` and `WebSocketEnd`: a socket that nobody has accepted yet.
//! Does not know the callbacks of workers: `worker` has the other way to accept.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime;

use super::WebSocket;
use super::events::WebSocketEvents;
use crate::connection::{
    Collector, Consumer, End, Handle, Hub, Limits, Opener, Opening, Stream, Upgraded,
};

/// Makes two ends that are each other's peer, without a network between them.
///
/// Usually one is accepted, and the other goes out to a client with
/// [`Upgrade::respond`](crate::Upgrade::respond): then the accepted end *is* that
/// client's connection, and the pair costs nothing for a message. Accepted both,
/// they are two connections within this process, with real frames, limits and
/// backpressure; tests with paused time work. The second to be accepted is the
/// client of the two.
///
/// ```
/// use wsworker::{Event, WebSocketPair};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// # runtime.block_on(async {
/// let (client, server) = WebSocketPair::new();
/// let server = server.accept();
/// server.send("hello")?;
///
/// let mut client = client.accept();
/// let Some(Event::Message(message)) = client.next().await else { panic!() };
/// assert_eq!(message.as_text(), Some("hello"));
/// # Ok::<_, wsworker::Error>(()) })?;
/// # Ok::<_, wsworker::Error>(())
/// ```
#[derive(Debug)]
pub struct WebSocketPair(());

impl WebSocketPair {
    /// Two ends. Needs no runtime; accepting them does, one that has time enabled.
    #[expect(
        clippy::new_ret_no_self,
        reason = "it is the guide's `new WebSocketPair()`"
    )]
    pub fn new() -> (WebSocketEnd, WebSocketEnd) {
        let (one, other) = End::pair();
        (WebSocketEnd(one), WebSocketEnd(other))
    }
}

/// One end of a WebSocket that nobody has accepted: of a [`WebSocketPair`], or of
/// a connection that `fetch` opened.
///
/// It is accepted once, by value, as events ([`accept`](Self::accept)) or by a
/// worker's callbacks ([`accept_with`](Self::accept_with)); or it is returned to a
/// client ([`Upgrade::respond`](crate::Upgrade::respond)). Until then nothing can
/// be sent on it, and the other side waits, with up to 64 KiB read ahead.
///
/// Dropped without any of that, the other side is closed: the other end of a pair
/// with 1011 and a warning in the log, a server with 1001.
#[must_use = "dropped without being accepted, it closes the other side"]
pub struct WebSocketEnd(End);

/// What a client's opening handshake leaves.
#[cfg_attr(not(feature = "client"), allow(dead_code))]
pub(crate) struct Fetched {
    pub(crate) stream: Stream,
    /// Bytes that came after the response's head.
    pub(crate) read: Vec<u8>,
    pub(crate) remote_addr: Option<SocketAddr>,
    pub(crate) protocol: Option<Box<str>>,
    /// The request: its `Head`, which this layer does not know.
    pub(crate) request: Opener,
    pub(crate) limits: Limits,
}

impl WebSocketEnd {
    /// The end of a connection that this process has just opened as a client, on
    /// the current runtime.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn fetched(fetched: Fetched) -> Self {
        let runtime = runtime::Handle::current();
        Self(End::fetched(Opening {
            upgraded: Upgraded {
                stream: fetched.stream,
                read: fetched.read,
                hub: Hub::on(&runtime, fetched.limits),
                remote_addr: fetched.remote_addr,
                guard: None,
            },
            protocol: fetched.protocol,
            opener: Some(fetched.request),
        }))
    }

    /// The subprotocol that was agreed on: with the server that was asked, or with
    /// the client that the other end of the pair was returned to.
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol()
    }

    /// Takes it into use, to send on and to ask for events.
    ///
    /// Of a pair whose other end is not decided yet, what is sent waits, up to
    /// `max_buffered`, and goes out behind the 101.
    ///
    /// # Panics
    /// If both ends of a pair are accepted outside any tokio runtime: there is
    /// nothing then to run them. One inside is enough for both, and an end that
    /// goes out to a client needs none. If there, the other end is lost already,
    /// this one hears 1006.
    #[track_caller]
    pub fn accept(self) -> WebSocketEvents {
        let (collector, mailbox) = Collector::new();
        let handle = self.0.accept(|_, _| collector);
        WebSocketEvents::new(WebSocket::new(handle), mailbox)
    }

    /// As `accept`, for any consumer.
    #[track_caller]
    pub(crate) fn accept_for<C: Consumer>(
        self,
        make: impl FnOnce(&Arc<Handle>, Option<Opener>) -> C + Send + 'static,
    ) -> WebSocket {
        WebSocket::new(self.accept_to(make))
    }

    /// As `accept_for`; gives the connection's handle.
    #[track_caller]
    pub(crate) fn accept_to<C: Consumer>(
        self,
        make: impl FnOnce(&Arc<Handle>, Option<Opener>) -> C + Send + 'static,
    ) -> Arc<Handle> {
        self.0.accept(make)
    }

    /// It is to be returned to a client, which gets this subprotocol.
    pub(crate) fn agree(&mut self, protocol: &str) {
        self.0.agree(protocol);
    }

    /// It was returned to a client. Dropped from now on, it is the client that is
    /// lost.
    pub(crate) fn leave(&mut self) {
        self.0.leave();
    }

    /// The client has its response. On the runtime that is to serve the connection.
    pub(crate) fn go_out(self, opening: Opening) {
        self.0.go_out(opening);
    }
}

impl fmt::Debug for WebSocketEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("WebSocketEnd");
        shown.field("protocol", &self.protocol());
        shown.finish_non_exhaustive()
    }
}
