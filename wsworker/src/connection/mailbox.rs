//! Events that wait to be asked for: a consumer that has no code of its own.
//! The connection puts them in, whoever holds a `WebSocketEvents` takes them out.
//!
//! It is the connection's read-ahead: bounded alike, and as with callbacks, the
//! peer's Close is answered, or its violation, only when every message before it
//! was taken and the next one asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::consumer::{self, Consumer, Turned};
use super::handle::Handle;
use super::task::{READ_AHEAD, charge};
use super::turn::Inbox;
use crate::error::Error;
use crate::protocol::close::{CloseEvent, ClosePayload};
use crate::protocol::message::Message;
use crate::wire::CHUNK;

/// What happens on a connection: messages, then perhaps an error, then a close,
/// then nothing more.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message came.
    Message(Message),
    /// The peer broke the protocol, or the connection failed.
    Error(Error),
    /// The connection is closed; nothing can be sent any more.
    Close(CloseEvent),
}

/// What one connection has to say and nobody has heard.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Event>,
    /// What the messages among them cost.
    bytes: usize,
    /// The connection stopped reading for want of room here.
    full: bool,
    /// Whoever asked and has to wait.
    asking: Option<Waker>,
    /// The connection, which waits to answer the peer's Close.
    answering: Option<Waker>,
    /// The close is in, or was.
    ended: bool,
    /// Nobody will ask any more.
    abandoned: bool,
}

impl Mailbox {
    /// The next event; `None` after the close. `handle` is the connection's.
    pub(crate) fn poll_next(&self, handle: &Handle, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.state();
        if handle.closed_first() {
            // After a Close of ours nothing is delivered, as in a browser.
            state.drop_messages();
        }
        let Some(event) = state.waiting.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.asking = Some(cx.waker().clone());
            let answering = state.answering.take();
            drop(state);
            answering.into_iter().for_each(Waker::wake);
            return Poll::Pending;
        };
        if let Event::Message(message) = &event {
            state.bytes -= charge(message);
        }
        let roomier = state.full && state.bytes <= READ_AHEAD / 2;
        state.full &= !roomier;
        drop(state);
        if roomier {
            handle.wake();
        }
        Poll::Ready(Some(event))
    }

    /// Nobody will ask any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.bytes = 0;
        let unheard = std::mem::take(&mut state.waiting);
        let answering = state.answering.take();
        drop(state);
        drop(unheard);
        answering.into_iter().for_each(Waker::wake);
    }

    fn put(&self, event: Event) {
        let mut state = self.state();
        state.ended |= matches!(event, Event::Close(_));
        if state.abandoned {
            return;
        }
        if let Event::Message(message) = &event {
            state.bytes += charge(message);
        }
        state.waiting.push_back(event);
        let asking = state.asking.take();
        drop(state);
        asking.into_iter().for_each(Waker::wake);
    }

    fn has_room(&self) -> bool {
        let mut state = self.state();
        state.full = state.bytes >= READ_AHEAD;
        !state.full
    }

    /// Was everything taken, and more asked for?
    fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.abandoned || (state.waiting.is_empty() && state.asking.is_some()) {
            return Poll::Ready(());
        }
        state.answering = Some(cx.waker().clone());
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_messages(&mut self) {
        while let Some(Event::Message(_)) = self.waiting.front() {
            self.waiting.pop_front();
        }
        self.bytes = 0;
    }
}

/// The consumer that puts everything into a mailbox.
pub(crate) struct Collector(Arc<Mailbox>);

impl Collector {
    pub(crate) fn new() -> (Self, Arc<Mailbox>) {
        let mailbox = Arc::<Mailbox>::default();
        (Self(mailbox.clone()), mailbox)
    }

    /// For a connection that nobody listens to.
    pub(super) fn deaf() -> Self {
        let (collector, mailbox) = Self::new();
        mailbox.abandon();
        collector
    }
}

impl Consumer for Collector {
    const RATIONS: bool = true;

    async fn messages(self, mut inbox: Inbox) -> Turned<Self> {
        while let Some(message) = inbox.next().await {
            let message = message.detached_below(CHUNK / 2);
            self.0.put(Event::Message(message));
        }
        (self, Ok(()))
    }

    async fn event(self, event: consumer::Event) -> Turned<Self> {
        match event {
            consumer::Event::Open => {}
            consumer::Event::Error(error) => self.0.put(Event::Error(error)),
            consumer::Event::Close(close) => self.0.put(Event::Close(close)),
        }
        (self, Ok(()))
    }

    fn has_room(&self, handle: &Handle) -> bool {
        !handle.holds_up_peer() && self.0.has_room()
    }

    fn poll_heard(
        &mut self,
        _: &CloseEvent,
        _: &ClosePayload,
        cx: &mut Context<'_>,
    ) -> Poll<Option<ClosePayload>> {
        self.0.poll_heard(cx).map(|()| None)
    }
}

/// The connection is gone. Without a word only if its runtime has ended.
impl Drop for Collector {
    fn drop(&mut self) {
        if !self.0.state().ended {
            self.0.put(Event::Close(CloseEvent::dropped()));
        }
    }
}
