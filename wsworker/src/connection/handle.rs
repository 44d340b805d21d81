//! What a connection's task and its handles share: its state, and one queue for
//! everything that is sent. Does no I/O; the task writes what waits here.
//!
//! A frame goes one of two ways. In the connection's own turn, with nothing
//! waiting before it, it is held in the thread's batch. From anywhere else, or
//! behind something that waits, it is queued, and the task is woken when the
//! queue was empty. So frames leave in the order in which they were sent.
//!
//! `bound`: what it learns when its connection begins; `direct`: frames for many; `own`:
//! frames that its own turn may take back; `room`: waiting for room.

mod bound;
#[cfg_attr(not(feature = "objects"), allow(dead_code))]
mod direct;
#[cfg(feature = "objects")]
mod own;
mod room;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::Notify;

use self::bound::Bound;
use self::direct::Direct;
use super::turn;
use super::wheel::Key;
use crate::error::{Error, Result};
use crate::protocol::close::ClosePayload;
use crate::protocol::message::Message;
use crate::wire::{Batch, OpCode, Role};

/// Shared by a connection's task and every `WebSocket` of it. It may be there
/// before its connection is: what is sent meanwhile waits in the queue.
///
/// In this order in memory, as a message to a large room finds none of its handles in
/// the processor's cache: what sending needs lies together.
#[repr(C)]
pub(crate) struct Handle {
    /// Bytes in the queue or being written; not those held in a turn.
    buffered: AtomicUsize,
    /// Somebody waits for room.
    awaited: AtomicBool,
    state: AtomicU8,
    role: Role,
    /// Whoever listens closes it when the server goes away.
    takes_leave: AtomicBool,
    /// The connection's entry in its hub's wheel. Here, where it takes no room.
    timer: AtomicU32,
    queue: Mutex<Queue>,
    /// There once the connection is.
    bound: OnceLock<Bound>,
    id: u64,
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
    /// How others write to the stream, where they may.
    direct: Option<Direct>,
}

#[derive(Default)]
struct Waiting {
    batch: Batch,
    /// Answers the last ping, behind the batch. It is counted once it is a frame.
    pong: Option<Bytes>,
    /// Rung once, when there is room or never will be.
    for_room: Option<Arc<Notify>>,
}

impl Handle {
    /// The handle of a connection that is yet to come.
    pub(crate) fn new(role: Role) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            buffered: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
            state: AtomicU8::new(OPEN),
            role,
            takes_leave: AtomicBool::new(false),
            timer: AtomicU32::new(0),
            queue: Mutex::default(),
            bound: OnceLock::new(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Which side of the opening handshake the connection is.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn set_takes_leave(&self) {
        self.takes_leave.store(true, Ordering::Release);
    }

    /// Is it left to whoever listens to close it when the server goes away?
    pub(super) fn takes_leave(&self) -> bool {
        self.takes_leave.load(Ordering::Acquire)
    }

    pub(super) fn set_timer(&self, key: Key) {
        self.timer.store(key.0, Ordering::Relaxed);
    }

    /// Only once the connection is entered.
    pub(super) fn timer(&self) -> Key {
        Key(self.timer.load(Ordering::Relaxed))
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            OPEN => State::Open,
            CLOSING => State::Closing,
            _ => State::Closed,
        }
    }

    /// Was the first Close this side's?
    pub(super) fn closed_first(&self) -> bool {
        matches!(self.state.load(Ordering::Acquire), CLOSING | CLOSED_FIRST)
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

    /// Is more waiting than half of what may?
    #[inline]
    pub(super) fn is_over_half(&self) -> bool {
        self.buffered() > self.max_buffered() / 2
    }

    /// Is so much waiting that the peer is to wait too? Only a server lets it: of
    /// two ends that both stopped reading, neither would ever go on.
    #[inline]
    pub(super) fn holds_up_peer(&self) -> bool {
        self.role == Role::Server && self.is_over_half()
    }

    /// Sends a message, now or at the end of the turn; never waits.
    #[inline]
    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        let limit = self.max_buffered();
        let held = turn::held(self, |held| {
            let batch = held?;
            if !self.is_drained() {
                return None;
            }
            Some(if batch.len() < limit {
                batch.push_message(self.role, message);
                Ok(())
            } else {
                Err(Error::full(batch.len(), limit))
            })
        });
        held.unwrap_or_else(|| self.queue_message(message))
    }

    /// Would `send` find room, if so many bytes more waited already?
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn may_send(&self, held: usize) -> Result<()> {
        let (waiting, limit) = (self.buffered() + held, self.max_buffered());
        match waiting < limit {
            true => Ok(()),
            false => Err(Error::full(waiting, limit)),
        }
    }

    /// Is there room once all is written but what is held?
    #[cfg_attr(not(feature = "objects"), allow(dead_code))]
    pub(crate) fn may_hold(&self, held: usize) -> Result<()> {
        let limit = self.max_buffered();
        match held < limit {
            true => Ok(()),
            false => Err(Error::full(held, limit)),
        }
    }

    #[cold]
    fn queue_message(&self, message: &Message) -> Result<()> {
        let limit = self.max_buffered();
        let mut queue = self.queue();
        // Asked again under the lock: a Close is the last frame.
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        let buffered = self.buffered();
        if buffered >= limit {
            return Err(Error::full(buffered, limit));
        }
        self.enqueue(&mut queue, |batch| batch.push_waiting(self.role, message));
        Ok(())
    }

    /// Sends what came on another connection. That one is not read while this one's
    /// queue is over half full, so there is room.
    pub(super) fn forward(&self, message: &Message) {
        if self.state() != State::Open {
            return;
        }
        let held = turn::held(self, |held| {
            let held = held.filter(|_| self.is_drained());
            held.map(|batch| batch.push_message(self.role, message))
        });
        if held.is_none() {
            self.queue_forwarded(message);
        }
    }

    #[cold]
    fn queue_forwarded(&self, message: &Message) {
        let mut queue = self.queue();
        // Asked again under the lock: a Close is the last frame.
        if self.state() == State::Open {
            self.enqueue(&mut queue, |batch| batch.push_waiting(self.role, message));
        }
    }

    /// Answers a ping. Of those that have to wait behind something only the last is
    /// answered (RFC 6455 §5.5.3), so that a flood of them costs no memory.
    pub(super) fn answer_ping(&self, payload: &Bytes) {
        let mut queue = self.queue();
        if self.state() != State::Open {
            return;
        }
        if self.is_drained() {
            self.push(&mut queue, OpCode::Pong, payload);
        } else {
            let waiting = queue.waiting.get_or_insert_default();
            waiting.pong = Some(payload.clone());
        }
    }

    /// Sends a ping of our own, or passes on one that came on another connection,
    /// or a pong. That one is not read while this one's queue is over half full.
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
            self.set_state(CLOSING);
            let waker = queue.waker.clone();
            drop(queue);
            self.wake_waiting();
            // The task has a deadline to keep from now on, wherever the frame waits.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Answers what ends the connection with a Close, unless one was sent
    /// already. Nothing can be sent from now on.
    pub(super) fn answer(&self, payload: &ClosePayload) {
        {
            let mut queue = self.queue();
            if self.state() == State::Open {
                self.push(&mut queue, OpCode::Close, payload.as_bytes());
            }
            self.seal();
        }
        self.wake_waiting();
    }

    /// Nothing can be sent from now on.
    pub(super) fn set_closed(&self) {
        {
            let _queue = self.queue();
            self.seal();
        }
        self.wake_waiting();
    }

    pub(crate) fn wake(&self) {
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
        self.add_buffered(waiting.push_pong(self.role));
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

    /// Holds or queues a control frame.
    fn push(&self, queue: &mut Queue, opcode: OpCode, payload: &[u8]) {
        let held = turn::held(self, |held| match held {
            Some(batch) if self.is_drained() => {
                batch.push(self.role, opcode, payload);
                true
            }
            _ => false,
        });
        if !held {
            self.enqueue(queue, |batch| batch.push(self.role, opcode, payload));
        }
    }

    fn enqueue(&self, queue: &mut Queue, push: impl FnOnce(&mut Batch)) {
        let waiting = queue.waiting.get_or_insert_default();
        let pong = waiting.push_pong(self.role);
        let before = waiting.batch.len();
        push(&mut waiting.batch);
        let added = pong + waiting.batch.len() - before;
        let buffered = self.buffered.fetch_add(added, Ordering::AcqRel);
        // Woken only when there was nothing to write: else it knows already. Its
        // own turn looks at the queue before it ends.
        let own = turn::held(self, |held| held.is_some());
        if let (0, false, Some(waker)) = (buffered, own, &queue.waker) {
            waker.wake_by_ref();
        }
    }

    /// Under the lock, so that a Close is the last frame.
    fn seal(&self) {
        let first = self.closed_first();
        self.set_state(if first { CLOSED_FIRST } else { CLOSED });
    }

    fn set_state(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Something else comes behind the pong: it can be replaced no more. Gives its
    /// bytes.
    fn push_pong(&mut self, role: Role) -> usize {
        let Some(payload) = self.pong.take() else {
            return 0;
        };
        let before = self.batch.len();
        self.batch.push(role, OpCode::Pong, &payload);
        self.batch.len() - before
    }
}

// `State`, and who closed.
const OPEN: u8 = 0;
/// This side sent a Close, before any came.
const CLOSING: u8 = 1;
const CLOSED: u8 = 2;
/// Closed, and this side's Close was the first.
const CLOSED_FIRST: u8 = 3;

#[cfg(test)]
mod tests;
