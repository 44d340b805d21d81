//! The order in which events of one object become durable, and then visible: one
//! commit at a time, everything that came meanwhile in the next.
//! Does not run events; it gets what they have done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::commits;
use super::core::Core;
use super::effects::Effects;
use super::event::Done;
use crate::error::{Error, Result};
use crate::storage::{Batch, Key};

/// What an object's events have done and is not durable.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// Something is in flight; changed with the state.
    pending: AtomicBool,
    /// A commit failed, and what built on it is not undone yet.
    failed: AtomicBool,
    /// Rung when nothing is pending any more, or a commit failed.
    settled: Notify,
}

#[derive(Default)]
struct State {
    in_flight: Option<Group>,
    next: Option<Group>,
    /// Why the commit failed.
    failure: Option<String>,
}

/// What becomes durable together.
#[derive(Default)]
struct Group {
    batch: Arc<Batch>,
    effects: Vec<Effects>,
    /// Bytes that they send, and that they write.
    bytes: usize,
    written: usize,
}

/// When what an event did is durable.
#[must_use]
pub(super) enum Settled {
    Now,
    Later(oneshot::Receiver<Result<()>>),
}

/// What a read finds before it asks the storage.
pub(super) enum Found {
    /// The value that is to be, or that there is none.
    Value(Option<Bytes>),
    Unknown,
}

impl Found {
    pub(super) fn or_else(self, look: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Value(_) => self,
            Self::Unknown => look(),
        }
    }
}

impl Settled {
    pub(super) async fn wait(self) -> Result<()> {
        match self {
            Self::Now => Ok(()),
            Self::Later(done) => done.await.unwrap_or_else(|_| Err(Error::undone(ABANDONED))),
        }
    }
}

impl Gate {
    /// An event has ended well: takes what it has done. `asked`: somebody waits for it. What it sent may wait for more, until whoever
    /// runs the events says that there is none.
    ///
    /// # Errors
    /// A commit that it builds on has failed; it is to be undone.
    #[inline]
    pub(super) fn enter(core: &Arc<Core>, done: &mut Done, asked: bool) -> Result<Settled> {
        let writes = done.sql || !done.batch.is_empty();
        // Then all that came before has left.
        if !writes && core.gate.is_settled() {
            done.effects.release(core);
            return Ok(Settled::Now);
        }
        Self::enter_behind(core, done, writes, asked)
    }

    /// As `enter`, of an event that writes or has to wait for those that did.
    fn enter_behind(
        core: &Arc<Core>,
        done: &mut Done,
        writes: bool,
        asked: bool,
    ) -> Result<Settled> {
        let gate = &core.gate;
        done.effects.hold_own();
        let mut state = gate.state();
        if gate.has_failed() {
            return Err(Error::undone("a commit that it builds on failed"));
        }
        if !writes && state.in_flight.is_none() {
            drop(state);
            done.effects.release(core);
            return Ok(Settled::Now);
        }
        let Done {
            batch, mut effects, ..
        } = std::mem::take(done);
        let settled = match asked {
            true => {
                let (done, later) = oneshot::channel();
                effects.done = Some(done);
                Settled::Later(later)
            }
            false => Settled::Now,
        };
        let idle = state.in_flight.is_none();
        let group = match writes {
            true => state.next.get_or_insert_default(),
            false => state.latest(),
        };
        group.written += batch.bytes();
        if !batch.is_empty() {
            // Nobody else has it before it is in flight.
            Arc::make_mut(&mut group.batch).merge(batch);
        }
        group.bytes += effects.bytes();
        group.effects.push(effects);
        if idle {
            // Marked at once, so that nobody else starts one.
            state.in_flight = state.next.take();
            gate.pending.store(true, Ordering::Release);
            drop(state);
            commits::begin(core);
        }
        Ok(settled)
    }

    /// What was in flight is committed, or is not. Gives whether there is more to commit.
    pub(super) fn ended(core: &Arc<Core>, result: Result<()>) -> bool {
        // Also of one that failed: it may be stored all the same.
        if core.gate.in_flight().alarm.is_some() {
            core.shared.alarms.notify_one();
        }
        match result {
            Ok(()) => Self::committed(core),
            Err(error) => {
                core.gate.fail(&error);
                // Without a runtime, which ends then, the next event does it.
                if let Ok(runtime) = Handle::try_current() {
                    let (core, busy) = (core.clone(), core.shared.busy());
                    runtime.spawn(async move {
                        core.recover().await;
                        drop(busy);
                    });
                }
                false
            }
        }
    }

    /// Lets out what is durable; gives whether there is more to commit.
    fn committed(core: &Arc<Core>) -> bool {
        let mut state = core.gate.state();
        let group = state.in_flight.take().expect(IN_FLIGHT);
        core.cache().keep(Arc::unwrap_or_clone(group.batch));
        state.in_flight = state.next.take();
        let more = state.in_flight.is_some();
        // Under the lock: an event that writes nothing must not overtake these.
        for mut effects in group.effects {
            effects.release(core);
        }
        core.outgoing.send();
        core.gate.pending.store(more, Ordering::Release);
        drop(state);
        if !more {
            core.gate.settled.notify_waiters();
        }
        more
    }

    fn fail(&self, error: &Error) {
        let mut state = self.state();
        state.failure = Some(error.to_string());
        self.failed.store(true, Ordering::Release);
        drop(state);
        self.settled.notify_waiters();
    }

    /// What is to be committed.
    pub(super) fn in_flight(&self) -> Arc<Batch> {
        let state = self.state();
        state.in_flight.as_ref().expect(IN_FLIGHT).batch.clone()
    }

    /// Has a commit failed, and what built on it is there still?
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Takes what a failed commit leaves, the last first, and why it failed. Only
    /// by whoever has the object's turn.
    pub(super) fn take_failed(&self) -> (Vec<Effects>, String) {
        let mut state = self.state();
        let groups = [state.in_flight.take(), state.next.take()];
        let effects = groups.into_iter().flatten().flat_map(|g| g.effects);
        let mut effects: Vec<_> = effects.collect();
        effects.reverse();
        let why = state.failure.take().unwrap_or_default();
        self.pending.store(false, Ordering::Release);
        self.failed.store(false, Ordering::Release);
        (effects, why)
    }

    /// Waits until all that came before is durable, or a commit failed.
    pub(super) async fn settle(&self) {
        loop {
            let notified = self.settled.notified();
            if self.is_settled() || self.has_failed() {
                return;
            }
            notified.await;
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        !self.pending.load(Ordering::Acquire)
    }

    /// Does so much wait that the next event should wait too? Of bytes so many may.
    pub(super) fn is_crowded(&self, max_bytes: usize) -> bool {
        if self.is_settled() {
            return false;
        }
        let state = self.state();
        let (mut events, mut bytes, mut written) = (0, 0, 0);
        for group in [&state.in_flight, &state.next].into_iter().flatten() {
            events += group.effects.len();
            bytes += group.bytes;
            written += group.written;
        }
        events >= MAX_EVENTS || bytes >= max_bytes || written >= MAX_WRITTEN
    }

    /// Bytes that are to leave with commits on their way.
    pub(super) fn held(&self) -> usize {
        let state = self.state();
        let groups = [&state.in_flight, &state.next].into_iter().flatten();
        groups.map(|group| group.bytes).sum()
    }

    /// What a key will hold when all is durable.
    pub(super) fn find(&self, key: &Key) -> Found {
        let state = self.state();
        let in_group = |group: &Option<Group>| match group {
            Some(group) => find(&group.batch, key),
            None => Found::Unknown,
        };
        in_group(&state.next).or_else(|| in_group(&state.in_flight))
    }

    /// What is not durable, as one.
    pub(super) fn pending(&self) -> Batch {
        let state = self.state();
        let mut pending = Batch::default();
        for group in [&state.in_flight, &state.next].into_iter().flatten() {
            pending.merge((*group.batch).clone());
        }
        pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The last group, behind which everything waits.
    fn latest(&mut self) -> &mut Group {
        let Self {
            in_flight, next, ..
        } = self;
        let last = next.as_mut().or(in_flight.as_mut());
        last.expect("something is in flight")
    }
}

/// What a batch says about a key.
pub(super) fn find(batch: &Batch, key: &Key) -> Found {
    match batch.writes.get(key) {
        Some(value) => Found::Value(value.clone()),
        None if batch.clear => Found::Value(None),
        None => Found::Unknown,
    }
}

/// Events that may wait for commits.
const MAX_EVENTS: usize = 4096;
/// Bytes that they may write.
const MAX_WRITTEN: usize = 64 << 20;
const IN_FLIGHT: &str = "only who commits takes it away";
const ABANDONED: &str = "the object has ended";
