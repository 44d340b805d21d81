//! Two connections joined: what comes on one goes out on the other, driven by one
//! task, so that a message wakes nobody else.
//! Does not look into messages, and has no queue of its own: what waits to be sent
//! on one side is that side's queue, and while it is half full the other is not read.
//!
//! Pings and pongs are passed on too, except the pongs to our own pings. A peer's
//! Close is passed on, and answered as the other side answers it; what that side
//! says until then still arrives. Whoever is lost without one is lost for the other
//! side too: a server behind us as 1014, a client as 1001.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::runtime;
use tokio::task::yield_now;

use super::begin::Opening;
use super::consumer::{Consumer, Event, Turned};
use super::handle::Handle;
use super::hub::Hub;
use super::task::Connection;
use super::turn::{self, Inbox};
use crate::protocol::close::{CloseCode, CloseEvent, ClosePayload};
use crate::wire::{OpCode, Role, key};

/// Joins a client's connection with the one to the server that it talks to, on
/// the current runtime. The limits of the client's hold for both: what one may
/// say must be let through by the other.
pub(super) fn to_server(client: Opening, mut server: Opening) {
    let limits = client.upgraded.hub.limits;
    server.upgraded.hub = Hub::on(&runtime::Handle::current(), limits);
    let handles = [Role::Server, Role::Client].map(Handle::new);
    let lost = [CloseCode::GOING_AWAY, CloseCode::BAD_GATEWAY];
    let [mut from_client, from_server] = Passing::both(&handles, lost);
    from_client.waits = true;
    let [near, far] = handles;
    let sides = [
        client.connect(near, from_client),
        server.connect(far, from_server),
    ];
    tokio::spawn(Relay(sides.map(Some)));
}

/// Joins two clients' connections, on the current runtime. One may run already,
/// if nobody has heard anything of it.
pub(super) fn between_clients<C: Consumer>(
    running: Connection<C>,
    handle: Arc<Handle>,
    other: Opening,
) {
    let handles = [handle, Handle::new(Role::Server)];
    let [from_one, from_other] = Passing::both(&handles, [CloseCode::GOING_AWAY; 2]);
    let [_, far] = handles;
    let sides = [running.hand_over(from_one), other.connect(far, from_other)];
    tokio::spawn(Relay(sides.map(Some)));
}

/// Both sides; none where it has ended.
struct Relay([Option<Connection<Passing>>; 2]);

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let relay = &mut *self;
        relay.poll_side(0, cx);
        relay.poll_side(1, cx);
        for _ in 0..ROUNDS {
            if relay.0.iter().all(Option::is_none) {
                return Poll::Ready(());
            }
            // One may have sent, or made room, after the other had its turn.
            let behind = |side: &Option<_>| side.as_ref().is_some_and(Connection::is_behind);
            let Some(side) = relay.0.iter().position(behind) else {
                return Poll::Pending;
            };
            relay.poll_side(side, cx);
        }
        // Others come first.
        let _ = pin!(yield_now()).poll(cx);
        Poll::Pending
    }
}

impl Relay {
    fn poll_side(&mut self, side: usize, cx: &mut Context<'_>) {
        let [one, other] = &mut self.0;
        let (polled, other) = match side {
            0 => (one, other),
            _ => (other, one),
        };
        let Some(connection) = polled else {
            return;
        };
        // What is sent there is seen to in this poll.
        let _attended = other.as_ref().map(|other| turn::attend(other.handle()));
        let ended = Pin::new(&mut *connection).poll(cx).is_ready();
        if let (Some(closing), Some(other)) = (connection.handle().closing(), other) {
            // The server goes away, and the connection to the other side with it.
            other.handle().close(closing);
        }
        if ended {
            *polled = None;
        }
    }
}

/// Hears one side, and tells the other.
struct Passing {
    other: Arc<Handle>,
    /// What the other side's peer hears if this one's is lost.
    lost: CloseCode,
    /// A client that broke the protocol still hears what the server has to say to
    /// what came before.
    waits: bool,
    /// What our own pings on this side carry, so that their pongs are known.
    own: [u8; 4],
    side: usize,
    ends: Arc<Ends>,
}

/// How each side closes.
#[derive(Default)]
struct Ends(Mutex<[End; 2]>);

#[derive(Default)]
struct End {
    /// It ends of itself, and the other side was told.
    begun: bool,
    closed: Option<CloseEvent>,
}

impl Passing {
    /// The consumers of two connections, with what each one's loss is to the other.
    fn both(handles: &[Arc<Handle>; 2], lost: [CloseCode; 2]) -> [Self; 2] {
        let ends = Arc::<Ends>::default();
        [0, 1].map(|side| Self {
            other: handles[1 - side].clone(),
            lost: lost[side],
            waits: false,
            own: key::fresh(),
            side,
            ends: ends.clone(),
        })
    }

    /// Tells the other side how this one ends.
    fn pass_on(&self, close: &CloseEvent) {
        self.ends.lock()[self.side].begun = true;
        self.other.close(&match close.was_clean {
            true => ClosePayload::echo(close),
            false => ClosePayload::cut(self.lost, ""),
        });
    }

    fn closed(&self, close: CloseEvent) {
        let answers = self.ends.lock()[1 - self.side].begun;
        if !answers {
            self.pass_on(&close);
        }
        self.ends.lock()[self.side].closed = Some(close);
        // It may wait for this, to answer its peer.
        self.other.wake();
    }
}

impl Ends {
    fn lock(&self) -> MutexGuard<'_, [End; 2]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer for Passing {
    const RATIONS: bool = true;
    const HEARS_AFTER_CLOSE: bool = true;

    async fn messages(self, mut inbox: Inbox) -> Turned<Self> {
        while let Some(message) = inbox.next().await {
            self.other.forward(&message);
        }
        (self, Ok(()))
    }

    async fn event(self, event: Event) -> Turned<Self> {
        match event {
            Event::Open => {}
            Event::Error(error) => tracing::debug!(%error, "a relayed connection failed"),
            Event::Close(close) => self.closed(close),
        }
        (self, Ok(()))
    }

    fn has_room(&self, _: &Handle) -> bool {
        !self.other.is_over_half()
    }

    fn own_ping(&self) -> &[u8] {
        &self.own
    }

    fn ping(&mut self, payload: &[u8]) -> bool {
        self.other.send_control(OpCode::Ping, payload);
        true
    }

    fn pong(&mut self, payload: &[u8]) {
        if payload != self.own {
            self.other.send_control(OpCode::Pong, payload);
        }
    }

    fn poll_heard(
        &mut self,
        close: &CloseEvent,
        _: &mut Context<'_>,
    ) -> Poll<Option<ClosePayload>> {
        self.pass_on(close);
        if !close.was_clean && !self.waits {
            return Poll::Ready(None);
        }
        let ends = self.ends.lock();
        let Some(answer) = &ends[1 - self.side].closed else {
            // Called again when there is one.
            return Poll::Pending;
        };
        let both = close.was_clean && answer.was_clean;
        Poll::Ready(both.then(|| ClosePayload::echo(answer)))
    }
}

/// How often the sides take turns in one poll.
const ROUNDS: usize = 16;
