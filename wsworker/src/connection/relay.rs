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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime;
use tokio::task::yield_now;

use super::begin::Opening;
use super::consumer::{Consumer, Event, Turned};
use super::handle::Handle;
use super::hub::Hub;
use super::task::Connection;
use super::turn::{self, Attended, Inbox};
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
    tokio::spawn(Relay::of(sides));
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
    tokio::spawn(Relay::of(sides));
}

/// Drives both connections.
struct Relay {
    sides: [Side; 2],
    /// Whoever polls this.
    task: Arc<Task>,
}

/// One of the two connections, until it has ended.
struct Side {
    connection: Option<Connection<Passing>>,
    call: Arc<Call>,
    waker: Waker,
}

/// Somebody called for a side, and not for the other: that one need not be asked
/// whether there is anything to do.
struct Call {
    called: AtomicBool,
    task: Arc<Task>,
}

#[derive(Default)]
struct Task(Mutex<Option<Waker>>);

impl Relay {
    fn of(connections: [Connection<Passing>; 2]) -> Self {
        let task = Arc::<Task>::default();
        Self {
            sides: connections.map(|connection| Side::new(connection, &task)),
            task,
        }
    }

    /// Lets a side do what there is to do, and the other write what that sent to it.
    fn drive(&mut self, side: usize) {
        let [one, other] = &mut self.sides;
        let (this, other) = match side {
            0 => (one, other),
            _ => (other, one),
        };
        let Some(connection) = &mut this.connection else {
            return;
        };
        let mut cx = Context::from_waker(&this.waker);
        if !this.call.called.swap(false, Ordering::AcqRel) && connection.write_out(&mut cx) {
            return;
        }
        let far = other.connection.as_ref().map(Connection::handle);
        let attended = far.map(turn::attend);
        let ended = Pin::new(&mut *connection).poll(&mut cx).is_ready();
        if let (Some(closing), Some(far)) = (connection.handle().closing(), far) {
            // The server goes away, and the connection to the other side with it.
            far.close(closing);
        }
        if ended {
            this.connection = None;
        }
        if attended.as_ref().is_some_and(Attended::has_passed) {
            other.write_out();
        }
    }
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let relay = &mut *self;
        relay.task.is(cx.waker());
        for _ in 0..ROUNDS {
            let Some(side) = relay.sides.iter().position(Side::has_work) else {
                let ended = relay.sides.iter().all(|side| side.connection.is_none());
                return if ended {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                };
            };
            relay.drive(side);
        }
        // Others come first.
        let _ = pin!(yield_now()).poll(cx);
        Poll::Pending
    }
}

impl Side {
    fn new(connection: Connection<Passing>, task: &Arc<Task>) -> Self {
        let call = Arc::new(Call {
            called: AtomicBool::new(true),
            task: task.clone(),
        });
        Self {
            connection: Some(connection),
            waker: call.clone().into(),
            call,
        }
    }

    /// Writes what the other has sent to it.
    fn write_out(&mut self) {
        let mut cx = Context::from_waker(&self.waker);
        if let Some(connection) = &mut self.connection
            && !connection.write_out(&mut cx)
        {
            self.call.called.store(true, Ordering::Release);
        }
    }

    /// Was it called, or has the other sent something or made room for more?
    fn has_work(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            self.call.called.load(Ordering::Acquire) || connection.is_behind()
        })
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::Release);
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

impl Task {
    fn is(&self, waker: &Waker) {
        let mut task = self.lock();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        _: &ClosePayload,
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
