//! What a connection's events are to an object: each an event of its own, in its turn.
//! Does not run them; `cell` does.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::DurableObject;
use super::cell::{Cell, Turn};
use super::jobs::{Incoming, Job, OnClose, OnError, OnMessage, OnOpen};
use super::member::Member;
use crate::connection::{Consumer, Event, Handle, Inbox, Opener, State, Turned};
use crate::error::{Error, Result};
use crate::http::{Body, Head, Request};
use crate::protocol::close::{CloseEvent, ClosePayload};
use crate::protocol::message::Message;
use crate::socket::Outlet;

/// The consumer of an object's socket.
pub(super) struct ObjectSocket<T: DurableObject> {
    cell: Arc<Cell<T>>,
    member: Arc<Member>,
    /// Until `on_open` has it. In a box, as a connection's task has little room.
    opener: Option<Box<Opener>>,
}

impl<T: DurableObject> ObjectSocket<T> {
    pub(super) fn new(cell: Arc<Cell<T>>, member: Arc<Member>) -> Self {
        Self {
            cell,
            member,
            opener: None,
        }
    }

    /// The connection is there.
    pub(super) fn begin(mut self, handle: &Arc<Handle>, opener: Option<Opener>) -> Self {
        self.member.bind(handle.clone());
        self.opener = opener.map(Box::new);
        self
    }

    /// Is the message answered without waking the object?
    #[inline]
    fn auto_responds(&self, message: &Message) -> bool {
        let pair = self.member.core.auto_response_to(message);
        if let Some(pair) = &pair {
            self.member.auto_respond(&pair.1);
        }
        pair.is_some()
    }

    /// One that nobody wants to hear of any more is no failure of its own.
    async fn own<'a, J: Job<T, Output = ()>>(
        &'a self,
        turn: &mut Option<Turn<'a, T>>,
        job: J,
    ) -> Result<()> {
        let turn = match turn {
            Some(turn) if self.cell.is_ready() => turn,
            turn => self.cell.next_turn(turn).await,
        };
        let member = Some(&self.member);
        match self.cell.event_in(turn, member, false, job).await {
            Err(_) if self.member.has_failed() || self.member.is_gone() => Ok(()),
            Err(error) if error.is_closed() && self.member.is_closing() => Ok(()),
            ran => ran.map(drop),
        }
    }

    async fn other(&mut self, event: Event) -> Result<()> {
        let (member, ws) = (&self.member, self.member.websocket());
        if let Event::Close(_) = event {
            // Out of every list before anything is said about it.
            self.cell.core.remove_member(member);
        }
        if member.is_gone() {
            return Ok(());
        }
        match event {
            Event::Open => {
                let opener = self.opener.take().map(|opener| *opener);
                let request = Request::of(head(opener), Body::empty());
                self.own(&mut None, OnOpen(&ws, &request)).await
            }
            Event::Error(error) => {
                let job = OnError(&ws, &error);
                let told = self.cell.event(None, false, job).await;
                if told.is_err() {
                    // The object never heard of it, or did not get through with it.
                    Member::log_error(&ws, &error);
                }
                told.map(drop)
            }
            Event::Close(close) => {
                member.set_gone();
                let job = OnClose(&ws, close);
                self.cell.event(None, false, job).await.map(drop)
            }
        }
    }
}

impl<T: DurableObject> Consumer for ObjectSocket<T> {
    /// Rooms are made for it.
    const SHARES_STREAM: bool = true;

    /// What waits for a commit leaves first.
    const TAKES_LEAVE: bool = true;

    async fn messages(self, mut inbox: Inbox) -> Turned<Self> {
        let result = {
            // From the first event on.
            let mut gathering = None;
            let mut incoming = Incoming {
                ws: self.member.websocket(),
                message: None,
            };
            loop {
                incoming.message = inbox.next().await;
                match &incoming.message {
                    None => break Ok(()),
                    Some(message) if self.auto_responds(message) => continue,
                    Some(_) => {}
                }
                let gathering = gathering.get_or_insert_with(|| Gathering::of(&self.cell));
                if let Err(error) = gathering.run(&self, &mut incoming).await {
                    break Err(error);
                }
            }
        };
        (self, result)
    }

    async fn event(mut self, event: Event) -> Turned<Self> {
        let result = self.other(event).await;
        (self, result)
    }

    /// What its events have sent leaves before: a commit is waited for. So is the 1011
    /// of one that failed.
    fn poll_heard(
        &mut self,
        _: &CloseEvent,
        due: &ClosePayload,
        _: &mut Context<'_>,
    ) -> Poll<Option<ClosePayload>> {
        let member = &self.member;
        if !member.is_closing() && !member.has_failed() {
            if member.core.has_let_go() {
                return Poll::Ready(None);
            }
            Outlet::close(member.clone(), due.clone());
        }
        // The connection is woken when it is closed, and when an undo has that not happen.
        match member.handle().state() {
            State::Open => Poll::Pending,
            _ => Poll::Ready(None),
        }
    }

    fn leave(&self, closing: &ClosePayload) {
        self.member.leave(closing);
    }

    /// After a panic too: the next event finds a value that has seen nothing of it.
    fn outlives(&self, _: &Error) -> bool {
        T::OPTIONS.keeps_failed
    }
}

/// While it lives, events of this object that follow each other send together, and some
/// have its turn one after the other.
struct Gathering<'a, T: DurableObject> {
    cell: &'a Cell<T>,
    turn: Option<Turn<'a, T>>,
    /// How many events have had this turn.
    events: usize,
}

impl<'a, T: DurableObject> Gathering<'a, T> {
    fn of(cell: &'a Cell<T>) -> Self {
        Self {
            cell,
            turn: None,
            events: 0,
        }
    }

    /// Hears one message. What was sent before does not wait for an event that waits, and
    /// other sockets not for more events than one.
    async fn run(&mut self, socket: &'a ObjectSocket<T>, message: &mut Incoming) -> Result<()> {
        let mut waited = false;
        let result = {
            let mut event = pin!(socket.own(&mut self.turn, OnMessage(message)));
            let polled = poll_fn(|cx| {
                let polled = event.as_mut().poll(cx);
                if polled.is_pending() {
                    waited = true;
                    self.cell.core.outgoing.send();
                }
                polled
            });
            polled.await
        };
        self.events += 1;
        if waited || self.events >= MOST {
            (self.turn, self.events) = (None, 0);
        }
        result
    }
}

impl<T: DurableObject> Drop for Gathering<'_, T> {
    fn drop(&mut self) {
        self.turn = None;
        self.cell.core.outgoing.send();
        self.cell.touch();
    }
}

/// Events that have one turn.
const MOST: usize = 16;

/// The connection is gone, perhaps without a word.
impl<T: DurableObject> Drop for ObjectSocket<T> {
    fn drop(&mut self) {
        self.member.set_gone();
        self.cell.core.remove_member(&self.member);
    }
}

fn head(opener: Option<Opener>) -> Arc<Head> {
    let known = opener.and_then(|opener| opener.downcast::<Head>().ok());
    known.unwrap_or_else(|| Arc::new(Head::bare()))
}
