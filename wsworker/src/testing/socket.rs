//! The client's end of a WebSocket, as a test asks it.
//! Does not wait for ever: what does not come is an error that says so.

use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Aborted;
use crate::connection::{Gate, SocketEvent as Event};
use crate::error::{Error, Result};
use crate::protocol::close::{CloseCode, CloseEvent};
use crate::protocol::message::Message;
use crate::socket::{WebSocket, WebSocketEvents};

/// A WebSocket to a server under test: made by
/// [`TestServer::connect`](super::TestServer::connect). It is a [`WebSocket`]
/// too, to send on.
///
/// [`text`](Self::text) and the like want the *next* event to be that, and are an
/// error otherwise, or when nothing comes within [`patience`](Self::patience).
/// Such an error says what was wanted, what came, and where the test asked. All
/// are cancel safe: a dropped call loses no event.
///
/// It reads by itself, as a browser does, and keeps up to 256 events; while so
/// many were not asked for it reads no more, and the server has to wait. A
/// Close and pings are answered at once, but for a Close behind those events.
///
/// It is a client without limits of its own: it takes messages of up to 1 GiB,
/// lets as much wait to be sent, and gives up no silent server.
///
/// Dropped, it closes the socket with 1001.
pub struct TestSocket {
    ws: WebSocket,
    events: mpsc::Receiver<Event>,
    gate: Arc<Gate>,
    patience: Duration,
    /// This side closed: what came before and was not asked for is passed over.
    closed_here: bool,
    /// Takes the events, so that the connection never waits for the test to ask.
    _reading: Aborted<()>,
}

impl TestSocket {
    pub(super) fn new(events: WebSocketEvents, gate: Arc<Gate>) -> Self {
        let ws = WebSocket::clone(&events);
        let (heard, waiting) = mpsc::channel(KEPT);
        Self {
            ws,
            events: waiting,
            gate,
            patience: PATIENCE,
            closed_here: false,
            _reading: Aborted(tokio::spawn(read(events, heard))),
        }
    }

    /// How long the calls that wait do so, of tokio's time. Default: 10 seconds.
    pub fn patience(&mut self, time: Duration) {
        self.patience = time;
    }

    /// The next message, a text.
    ///
    /// # Errors
    /// Anything else comes, or nothing.
    #[track_caller]
    pub fn text(&mut self) -> impl Future<Output = Result<String>> + Send {
        let wait = self.wait("a text message");
        async move {
            match wait.one().await? {
                (Event::Message(message), _) if message.is_text() => {
                    Ok(message.as_text().unwrap_or_default().to_owned())
                }
                (other, at) => Err(at.got(&other)),
            }
        }
    }

    /// The next message, binary.
    ///
    /// # Errors
    /// Anything else comes, or nothing.
    #[track_caller]
    pub fn binary(&mut self) -> impl Future<Output = Result<Bytes>> + Send {
        let wait = self.wait("a binary message");
        async move {
            match wait.one().await? {
                (Event::Message(message), _) if message.is_binary() => Ok(message.into_bytes()),
                (other, at) => Err(at.got(&other)),
            }
        }
    }

    /// The next message, of either kind.
    ///
    /// # Errors
    /// Anything else comes, or nothing.
    #[track_caller]
    pub fn message(&mut self) -> impl Future<Output = Result<Message>> + Send {
        let wait = self.wait("a message");
        async move {
            match wait.one().await? {
                (Event::Message(message), _) => Ok(message),
                (other, at) => Err(at.got(&other)),
            }
        }
    }

    /// The next message, of either kind, from JSON.
    ///
    /// # Errors
    /// Anything else comes, or nothing; or it is no JSON of that type.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&mut self) -> impl Future<Output = Result<T>> + Send {
        let wait = self.wait("a message of JSON");
        async move {
            let (event, at) = wait.one().await?;
            let Event::Message(message) = &event else {
                return Err(at.got(&event));
            };
            let parsed = serde_json::from_slice(message.as_bytes());
            parsed.map_err(|wrong| at.fail(&format!("got {}: {wrong}", shown(&event))))
        }
    }

    /// The close, with the code and the reason that the server sent; 1005 if it
    /// sent a Close without a code, 1006 if it sent none.
    ///
    /// After [`close`](Self::close) of this side's, messages that nobody asked
    /// for are passed over.
    ///
    /// # Errors
    /// A message comes, or nothing.
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = Result<CloseEvent>> + Send {
        let passes_over = self.closed_here;
        let mut wait = self.wait("a close");
        async move {
            loop {
                match wait.next().await? {
                    Event::Close(close) => return Ok(close),
                    // What led to the close.
                    Event::Error(_) => {}
                    Event::Message(_) if passes_over => {}
                    other => return Err(wait.at.got(&other)),
                }
            }
        }
    }

    /// The next event, whatever it is.
    ///
    /// # Errors
    /// Nothing comes; so too after the close.
    #[track_caller]
    pub fn event(&mut self) -> impl Future<Output = Result<Event>> + Send {
        let wait = self.wait("an event");
        async move { Ok(wait.one().await?.0) }
    }

    /// Waits for so long, and wants nothing to come. With a paused clock that
    /// takes no time at all.
    ///
    /// # Errors
    /// Something comes.
    #[track_caller]
    pub fn quiet_for(&mut self, time: Duration) -> impl Future<Output = Result<()>> + Send {
        let wait = self.wait("nothing");
        async move {
            match timeout(time, wait.events.recv()).await {
                Ok(Some(event)) => Err(wait.at.got(&event)),
                // Nothing comes after the close.
                Ok(None) | Err(_) => Ok(()),
            }
        }
    }

    /// As [`WebSocket::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close(&mut self) -> Result<()> {
        self.ws.close()?;
        self.closed_here = true;
        Ok(())
    }

    /// As [`WebSocket::close_with`].
    ///
    /// # Errors
    /// As there.
    pub fn close_with<C>(&mut self, code: C, reason: &str) -> Result<()>
    where
        C: TryInto<CloseCode>,
        Error: From<C::Error>,
    {
        self.ws.close_with(code, reason)?;
        self.closed_here = true;
        Ok(())
    }

    /// Lets nothing pass any more, either way, and does not end the connection: a
    /// network that is gone, or a machine that is asleep. What is sent waits; not
    /// even a ping is answered.
    pub fn stall(&mut self) {
        self.gate.shut();
    }

    /// Lets pass again what [`stall`](Self::stall) held up.
    pub fn resume(&mut self) {
        self.gate.open();
    }

    /// Ends the connection without a Close, for good: a client that has crashed.
    /// Both sides hear 1006.
    pub fn cut(&mut self) {
        self.gate.cut();
    }

    #[track_caller]
    fn wait(&mut self, wanted: &'static str) -> Wait<'_> {
        Wait {
            events: &mut self.events,
            at: Asked {
                wanted,
                within: self.patience,
                place: Location::caller(),
            },
        }
    }
}

impl Deref for TestSocket {
    type Target = WebSocket;

    fn deref(&self) -> &WebSocket {
        &self.ws
    }
}

impl fmt::Debug for TestSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestSocket").field(&self.ws).finish()
    }
}

async fn read(mut events: WebSocketEvents, heard: mpsc::Sender<Event>) {
    while let Some(event) = events.next().await {
        if heard.send(event).await.is_err() {
            return;
        }
    }
}

/// Waiting for an event.
struct Wait<'a> {
    events: &'a mut mpsc::Receiver<Event>,
    at: Asked,
}

/// What a test asked for, and where.
struct Asked {
    wanted: &'static str,
    within: Duration,
    place: &'static Location<'static>,
}

impl Wait<'_> {
    async fn one(mut self) -> Result<(Event, Asked)> {
        Ok((self.next().await?, self.at))
    }

    async fn next(&mut self) -> Result<Event> {
        match timeout(self.at.within, self.events.recv()).await {
            Ok(Some(event)) => Ok(event),
            Ok(None) => Err(self.at.fail("nothing comes after the close")),
            Err(_) => {
                let within = self.at.within;
                Err(self.at.fail(&format!("nothing came within {within:?}")))
            }
        }
    }
}

impl Asked {
    fn got(&self, event: &Event) -> Error {
        self.fail(&format!("got {}", shown(event)))
    }

    fn fail(&self, what: &str) -> Error {
        let Self { wanted, place, .. } = self;
        Error::new(format!("{place}: wanted {wanted}, {what}"))
    }
}

/// An event in a failure's text, which is a test's own: it may be shown.
fn shown(event: &Event) -> String {
    match event {
        Event::Message(message) => match message.as_text() {
            Some(text) => {
                let start: String = text.chars().take(SHOWN).collect();
                let more = if start.len() < text.len() { "…" } else { "" };
                format!("the text {start:?}{more}")
            }
            None => format!("a binary message of {} bytes", message.len()),
        },
        Event::Error(error) => format!("an error: {error}"),
        Event::Close(close) => format!("a close with {} {:?}", close.code, close.reason),
    }
}

/// Events that a test has not asked for yet.
const KEPT: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of a text a failure shows, in characters.
const SHOWN: usize = 200;
