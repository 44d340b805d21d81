//! `WebSocketEvents`: an accepted socket, asked for its events.
//! Does not hold them; the connection's mailbox does.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::WebSocket;
use crate::connection::{Mailbox, SocketEvent as Event};
use crate::protocol::close::{CloseCode, ClosePayload};

/// A socket and what happens on it: messages, perhaps an error, a close, and then
/// nothing more. It is a [`WebSocket`] too, whose clones can be sent on elsewhere.
///
/// ```
/// # async fn f(mut events: wsworker::WebSocketEvents) -> wsworker::Result<()> {
/// use wsworker::Event;
///
/// while let Some(event) = events.next().await {
///     match event {
///         Event::Message(message) => events.send(message)?,
///         Event::Close(close) => println!("closed with {}", close.code),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok(()) }
/// ```
///
/// While nobody asks, the connection reads up to 64 KiB ahead and then lets its
/// peer wait; pings are answered meanwhile. A server's end lets it wait too while
/// over half of `max_buffered` waits to be sent, so that the loop above is slowed by
/// a peer that does not read; a client's does not, since of two ends that both wait
/// neither would ever go on. The peer's Close, or its violation, is
/// answered when every message before it was taken and the next event is asked
/// for, at latest after `close_timeout` (5 s by default). After a Close of this side's only the
/// close follows: messages that were not taken are dropped, as in a browser.
///
/// There is one for each socket, so it is no `Clone`. Dropped before the close,
/// it closes the socket: with 1001, or 1011 while its task panics.
pub struct WebSocketEvents {
    ws: WebSocket,
    mailbox: Arc<Mailbox>,
}

impl WebSocketEvents {
    pub(super) fn new(ws: WebSocket, mailbox: Arc<Mailbox>) -> Self {
        Self { ws, mailbox }
    }

    /// The next event; `None` after the close.
    ///
    /// Cancel safe: a dropped call loses no event.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.mailbox.poll_next(self.ws.handle(), cx)
    }
}

impl Stream for WebSocketEvents {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(cx)
    }
}

impl Deref for WebSocketEvents {
    type Target = WebSocket;

    fn deref(&self) -> &WebSocket {
        &self.ws
    }
}

impl Drop for WebSocketEvents {
    fn drop(&mut self) {
        let code = match std::thread::panicking() {
            true => CloseCode::INTERNAL_ERROR,
            false => CloseCode::GOING_AWAY,
        };
        // Nothing to a socket that is closed already.
        self.ws.handle().close(&ClosePayload::cut(code, ""));
        self.mailbox.abandon();
    }
}

impl fmt::Debug for WebSocketEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebSocketEvents").field(&self.ws).finish()
    }
}
