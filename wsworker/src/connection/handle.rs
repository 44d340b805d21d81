//! What a connection's task and its handles share: its state, and one queue for
//! everything that is sent. Does no I/O; the task writes what waits here.
//!
//! A frame goes one of two ways. In the connection's own turn, with nothing
//! waiting before it, it is held in the thread's batch. From anywhere else, or
//! behind something that waits, it is queued, and the task is woken when the
//! queue was empty. So frames leave in the order in which they were sent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::hub::{Hub, Limits};
use super::turn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::protocol::close::ClosePayload;
use crate::protocol::message::Message;
use crate::wire::{Batch, OpCode};

/// Shared by a connection's task and every `WebSocket` of it.
pub(crate) struct Handle {
    id: u64,
    remote_addr: Option<SocketAddr>,
    protocol: Option<Box<str>>,
    hub: Arc<Hub>,
    /// Bytes in the queue or being written; not those held in a turn.
    buffered: AtomicUsize,
    /// Somebody waits for room.
    awaited: AtomicBool,
    state: AtomicU8,
    queue: Mutex<Queue>,
    /// Around the callbacks, where somebody listens.
    span: Option<Box<tracing::Span>>,
}

/// How far a socket's life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Messages go both ways.
    Open,
    /// This side sent a Close and waits for the peer's.
    Closing,
    /// Nothing is sent or received any more.
    Closed,
}

#[derive(Default)]
struct Queue {
    waker: Option<Waker>,
    /// Only there while something waits.
    waiting: Option<Box<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    batch: Batch,
    /// Rung once, when there is room or never will be.
    for_room: Option<Arc<Notify>>,
}

impl Handle {
    pub(crate) fn new(
        hub: Arc<Hub>,
        remote_addr: Option<SocketAddr>,
        protocol: Option<Box<str>>,
    ) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!("connection", id, remote_addr = ?remote_addr);
        Arc::new(Self {
            id,
            span: (!span.is_disabled()).then(|| Box::new(span)),
            remote_addr,
            protocol,
            hub,
            buffered: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
            state: AtomicU8::new(State::Open as u8),
            queue: Mutex::default(),
        })
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote_addr
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(crate) fn env(&self) -> &Env {
        &self.hub.env
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.hub.limits
    }

    #[inline]
    pub(super) fn enter_span(&self) -> Option<tracing::span::Entered<'_>> {
        self.span.as_ref().map(|span| span.enter())
    }

    #[inline]
    pub(super) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Open,
            1 => State::Closing,
            _ => State::Closed,
        }
    }

    /// Bytes that wait to be written.
    #[inline]
    pub(crate) fn buffered(&self) -> usize {
        let held = turn::held(self, |held| held.map_or(0, |batch| batch.len()));
        self.buffered.load(Ordering::SeqCst) + held
    }

    /// Is nothing queued or being written?
    #[inline]
    pub(super) fn is_drained(&self) -> bool {
        self.buffered.load(Ordering::Acquire) == 0
    }

    /// Is so much waiting that nothing more should be read?
    #[inline]
    pub(super) fn is_over_half(&self) -> bool {
        self.buffered() > self.hub.limits.max_buffered / 2
    }

    /// Sends a message, now or at the end of the turn; never waits.
    #[inline]
    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        let limit = self.hub.limits.max_buffered;
        let held = turn::held(self, |held| {
            let batch = held?;
            if !self.is_drained() {
                return None;
            }
            Some(if batch.len() < limit {
                batch.push_message(message);
                Ok(())
            } else {
                Err(Error::full(batch.len(), limit))
            })
        });
        held.unwrap_or_else(|| self.queue_message(message))
    }

    #[cold]
    fn queue_message(&self, message: &Message) -> Result<()> {
        let limit = self.hub.limits.max_buffered;
        let mut queue = self.queue();
        // Asked again under the lock: a Close is the last frame.
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        let buffered = self.buffered();
        if buffered >= limit {
            return Err(Error::full(buffered, limit));
        }
        self.enqueue(&mut queue, |batch| batch.push_waiting(message));
        Ok(())
    }

    /// Sends a ping or a pong. How many may wait is bounded by reading no more
    /// while the queue is over half full.
    pub(super) fn send_control(&self, opcode: OpCode, payload: &[u8]) {
        let mut queue = self.queue();
        // Asked under the lock: a Close is the last frame.
        if self.state() == State::Open {
            self.push(&mut queue, opcode, payload);
        }
    }

    /// Sends a Close, once: later calls do nothing.
    pub(crate) fn close(&self, payload: &ClosePayload) {
        let mut queue = self.queue();
        if self.state() == State::Open {
            self.push(&mut queue, OpCode::Close, payload.as_bytes());
            self.set_state(State::Closing);
            let waker = queue.waker.clone();
            drop(queue);
            self.wake_waiting();
            // The task has a deadline to keep from now on, wherever the frame waits.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Nothing can be sent from now on.
    pub(super) fn set_closed(&self) {
        {
            let _queue = self.queue();
            self.set_state(State::Closed);
        }
        self.wake_waiting();
    }

    /// Waits until `send` finds room. Once it had to wait it waits until half of
    /// the limit is free.
    ///
    /// Cancel safe, and a dropped call leaves nothing behind.
    pub(crate) async fn ready(&self) -> Result<()> {
        let mut waited = false;
        while let Some(room) = self.awaits_room(&mut waited)? {
            room.await;
        }
        Ok(())
    }

    /// What rings when there may be room; none if there is.
    fn awaits_room(&self, waited: &mut bool) -> Result<Option<OwnedNotified>> {
        let limit = self.hub.limits.max_buffered;
        let mut queue = self.queue();
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        if !*waited && self.buffered() < limit {
            return Ok(None);
        }
        *waited = true;
        let for_room = &mut queue.waiting.get_or_insert_default().for_room;
        // It hears what rings from now on, polled or not.
        let room = for_room.get_or_insert_default().clone().notified_owned();
        // Said before the look at what is buffered, as the writer counts before it
        // looks at this: one of the two sees the other.
        self.awaited.store(true, Ordering::SeqCst);
        Ok(self.is_over_half().then_some(room))
    }

    pub(super) fn wake(&self) {
        let waker = self.queue().waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The task's waker.
    pub(super) fn set_waker(&self, waker: Waker) {
        self.queue().waker = Some(waker);
    }

    /// The task ends. Breaks the cycle, as the task holds the handle and the waker
    /// the task, and drops what nobody will write.
    pub(super) fn end(&self) {
        self.set_closed();
        let queue = std::mem::take(&mut *self.queue());
        self.buffered.store(0, Ordering::SeqCst);
        // Outside the lock: it may hold the task's last reference.
        drop(queue);
    }

    /// What waits in the queue, for the task to write. It still counts as buffered.
    pub(super) fn take_queued(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let waiting = queue.waiting.as_mut()?;
        let batch = (!waiting.batch.is_empty()).then(|| std::mem::take(&mut waiting.batch));
        if waiting.for_room.is_none() {
            queue.waiting = None;
        }
        batch
    }

    /// Counts bytes that left a turn's batch without going out.
    pub(super) fn add_buffered(&self, n: usize) {
        self.buffered.fetch_add(n, Ordering::AcqRel);
    }

    /// Counts bytes that went out.
    pub(super) fn sub_buffered(&self, n: usize) {
        self.buffered.fetch_sub(n, Ordering::SeqCst);
    }

    /// Tells those who wait for room, if there is enough.
    #[inline]
    pub(super) fn tell_room(&self) {
        if self.awaited.load(Ordering::SeqCst) && !self.is_over_half() {
            self.wake_waiting();
        }
    }

    /// Calls those who wait for room: there is some, or there never will be.
    fn wake_waiting(&self) {
        let for_room = {
            let mut queue = self.queue();
            self.awaited.store(false, Ordering::SeqCst);
            queue.waiting.as_mut().and_then(|w| w.for_room.take())
        };
        if let Some(for_room) = for_room {
            for_room.notify_waiters();
        }
    }

    /// Holds or queues a control frame.
    fn push(&self, queue: &mut Queue, opcode: OpCode, payload: &[u8]) {
        let held = turn::held(self, |held| match held {
            Some(batch) if self.is_drained() => {
                batch.push(opcode, payload);
                true
            }
            _ => false,
        });
        if !held {
            self.enqueue(queue, |batch| batch.push(opcode, payload));
        }
    }

    fn enqueue(&self, queue: &mut Queue, push: impl FnOnce(&mut Batch)) {
        let waiting = queue.waiting.get_or_insert_default();
        let before = waiting.batch.len();
        push(&mut waiting.batch);
        let added = waiting.batch.len() - before;
        let buffered = self.buffered.fetch_add(added, Ordering::AcqRel);
        // Woken only when there was nothing to write: else it knows already. Its
        // own turn looks at the queue before it ends.
        let own = turn::held(self, |held| held.is_some());
        if let (0, false, Some(waker)) = (buffered, own, &queue.waker) {
            waker.wake_by_ref();
        }
    }

    fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
