//! Commits on their way to the storage: those of objects whose events end in one turn of
//! a thread go there together, and are answered together.
//! Does not know what an event has done; `gate` does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::core::Core;
use super::gate::Gate;
use super::objects::{Busy, Shared};
use crate::error::{Error, Result};
use crate::storage::{Commit, Storage};

/// Objects with something to commit, until their commits begin.
struct Gathering {
    shared: Arc<Shared>,
    /// `None` when it has ended.
    cores: Mutex<Option<Unended>>,
}

/// Objects that have not heard what became of their commits. Dropped before, as by a storage
/// that panics, these have failed.
struct Unended(VecDeque<Arc<Core>>);

/// Commits what the object has in flight, and then what came meanwhile, until nothing is
/// left.
pub(super) fn begin(core: &Arc<Core>) {
    if core.store.has_sql() {
        tokio::spawn(alone(Unended::of(core), core.shared.busy()));
        return;
    }
    CURRENT.with_borrow_mut(|current| {
        let gathering = current.upgrade();
        if gathering.is_none_or(|gathering| !gathering.add(core)) {
            *current = Gathering::begin(core);
        }
    });
}

/// One with a database of its own.
async fn alone(mut unended: Unended, _busy: Busy) {
    while let Some(core) = unended.0.front().cloned() {
        let batch = Arc::unwrap_or_clone(core.gate.in_flight());
        let committed = core.store.commit(batch).await;
        if !Gate::ended(&core, committed) {
            unended.0.clear();
        }
    }
}

impl Gathering {
    /// Gathers from this object on, until the tasks have run that are ready now.
    fn begin(core: &Arc<Core>) -> Weak<Self> {
        let gathering = Arc::new(Self {
            shared: core.shared.clone(),
            cores: Mutex::new(Some(Unended::of(core))),
        });
        let current = Arc::downgrade(&gathering);
        // Behind those tasks, which may end events too. It alone keeps what is gathered.
        tokio::spawn(gathering.commit(core.shared.busy()));
        current
    }

    /// Gives whether it is not too late.
    fn add(&self, core: &Arc<Core>) -> bool {
        if !Arc::ptr_eq(&self.shared, &core.shared) {
            return false;
        }
        match &mut *self.cores() {
            Some(Unended(cores)) if cores.len() < MOST => cores.push_back(core.clone()),
            _ => return false,
        }
        true
    }

    async fn commit(self: Arc<Self>, _busy: Busy) {
        let Some(mut unended) = self.cores().take() else {
            return;
        };
        let mut commits = Vec::with_capacity(unended.0.len());
        while let Some(core) = unended.0.get(commits.len()).cloned() {
            if let Err(error) = core.store.check_shared().await {
                unended.0.remove(commits.len());
                end(&core, Err(error));
                continue;
            }
            commits.push(Commit {
                object: core.key.clone(),
                batch: core.gate.in_flight(),
            });
        }
        for result in self.shared.storage.commit_all(commits).await {
            if let Some(core) = unended.0.pop_front() {
                end(&core, result);
            }
        }
    }

    fn cores(&self) -> MutexGuard<'_, Option<Unended>> {
        self.cores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unended {
    fn of(core: &Arc<Core>) -> Self {
        Self([core.clone()].into())
    }
}

impl Drop for Unended {
    fn drop(&mut self) {
        for core in self.0.drain(..) {
            let lost = Error::storage("nobody knows what became of a commit", None);
            Gate::ended(&core, Err(lost));
        }
    }
}

fn end(core: &Arc<Core>, result: Result<()>) {
    if Gate::ended(core, result) {
        begin(core);
    }
}

thread_local! {
    /// What this thread gathers.
    static CURRENT: RefCell<Weak<Gathering>> = const { RefCell::new(Weak::new()) };
}

/// Objects whose commits go together, at most.
const MOST: usize = 512;
