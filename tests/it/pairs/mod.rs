//! `WebSocketPair` and `WebSocketEvents`: ends that are accepted, returned to a
//! client, or dropped.
//! Does not treat the frames themselves: the connections are the same as any.

mod dropped;
mod events;
mod held;
mod leaks;
mod memory;
mod relayed;
mod respond;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wsworker::prelude::*;
use wsworker::{Event, Upgrade, WebSocketEnd, WebSocketEvents, WebSocketPair};

use crate::raw::{DEADLINE, Frame, RawClient};
use crate::server::{Served, only, tasks};

const KIB: usize = 1024;

/// A served worker that hands each request for a WebSocket to the test, which
/// says what answers it.
pub struct Handing {
    pub addr: SocketAddr,
    pub served: Served,
    asked: UnboundedReceiver<Asked>,
}

/// A request, and the way to its answer.
pub struct Asked {
    pub upgrade: Upgrade,
    answer: oneshot::Sender<Result<Response>>,
}

#[worker]
#[derive(Clone)]
struct Hands {
    asked: UnboundedSender<Asked>,
}

impl Worker for Hands {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let (answer, answered) = oneshot::channel();
        let upgrade = req.upgrade()?;
        let _ = self.asked.send(Asked { upgrade, answer });
        answered.await.expect("the test answers")
    }

    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        panic!("a worker whose fetch responds with a pair hears nothing");
    }
}

impl Handing {
    pub async fn start() -> Handing {
        Handing::start_with(|server| server).await
    }

    pub async fn start_with(configure: impl FnOnce(Server) -> Server) -> Handing {
        let (tell, asked) = unbounded_channel();
        let served = Served::start_with(Hands { asked: tell }, configure).await;
        // Its own tasks are there before a test counts.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        Handing {
            addr: served.addr,
            served,
            asked,
        }
    }

    pub async fn asked(&mut self) -> Asked {
        let asked = timeout(DEADLINE, self.asked.recv()).await;
        asked.expect("nobody asks").expect("the worker is gone")
    }

    /// A client whose request is answered with this end.
    pub async fn open(&mut self, end: WebSocketEnd) -> RawClient {
        self.open_with(|client| async { client }, end).await
    }

    /// As `open`, with a connection of the test's own making.
    pub async fn open_with<F>(
        &mut self,
        connect: impl FnOnce(RawClient) -> F,
        end: WebSocketEnd,
    ) -> RawClient
    where
        F: Future<Output = RawClient>,
    {
        let mut client = connect(RawClient::connect(self.addr).await).await;
        let answering = async {
            let asked = self.asked().await;
            asked.respond(end);
        };
        tokio::join!(client.handshake(&[]), answering);
        client
    }
}

impl Asked {
    pub fn respond(self, end: WebSocketEnd) {
        let response = self.upgrade.respond(end);
        // The client may not have waited.
        let _ = self.answer.send(Ok(response));
    }

    pub fn fail(self) {
        let _ = self.answer.send(Err(Error::new("as told")));
    }
}

/// A client, and the events of the end that it talks to.
async fn opened(server: &mut Handing) -> (RawClient, WebSocketEvents) {
    let (client, end) = WebSocketPair::new();
    let events = end.accept();
    (server.open(client).await, events)
}

/// The next event, in time.
async fn next(events: &mut WebSocketEvents) -> Option<Event> {
    let event = timeout(DEADLINE, events.next()).await;
    event.unwrap_or_else(|_| panic!("no event for {DEADLINE:?}"))
}

async fn expect_text(events: &mut WebSocketEvents, wanted: &str) {
    match next(events).await {
        Some(Event::Message(message)) => assert_eq!(message.as_text(), Some(wanted)),
        other => panic!("wanted the text {wanted:?}, got {other:?}"),
    }
}

/// Wants the close next, and nothing after it.
async fn expect_close(events: &mut WebSocketEvents, code: u16) -> CloseEvent {
    let close = match next(events).await {
        Some(Event::Close(close)) => close,
        other => panic!("wanted a close, got {other:?}"),
    };
    assert_eq!(close.code, code, "{close:?}");
    for _ in 0..2 {
        assert!(next(events).await.is_none());
    }
    assert!(events.send("late").unwrap_err().is_closed());
    close
}

/// Wants no event for a moment.
async fn expect_quiet(events: &mut WebSocketEvents) {
    if let Ok(event) = timeout(Duration::from_millis(150), events.next()).await {
        panic!("wanted no event, got {event:?}");
    }
}

/// Echoes messages until the close, which it gives.
async fn echo(mut events: WebSocketEvents) -> CloseEvent {
    loop {
        match events.next().await {
            // The client may be gone.
            Some(Event::Message(message)) => drop(events.send(message)),
            Some(Event::Error(_)) => {}
            Some(Event::Close(close)) => return close,
            other => panic!("{other:?} before the close"),
        }
    }
}

async fn echoes(client: &mut RawClient, text: &str) {
    client.send(Frame::text(text)).await;
    client.expect_text(text).await;
}
