//! Commits on their way to the storage: those of objects whose events end in one turn of
//! a thread go there together, and are answered together.
//! Does not know what an event has done; `gate` does.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::core::Core;
use super::gate::Gate;
use super::objects::{Busy, Shared};
use crate::error::Result;
use crate::storage::{Commit, Storage};

/// Objects with something to commit, until their commits begin.
struct Gathering {
    shared: Arc<Shared>,
    /// `None` when it has ended.
    cores: Mutex<Option<Vec<Arc<Core>>>>,
}

/// Commits what the object has in flight, and then what came meanwhile, until nothing is
/// left.
pub(super) fn begin(core: &Arc<Core>) {
    if core.store.has_sql() {
        tokio::spawn(alone(core.clone(), core.shared.busy()));
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
async fn alone(core: Arc<Core>, _busy: Busy) {
    loop {
        let batch = Arc::unwrap_or_clone(core.gate.in_flight());
        let committed = core.store.commit(batch).await;
        if !Gate::ended(&core, committed) {
            return;
        }
    }
}

impl Gathering {
    /// Gathers from this object on, until the tasks have run that are ready now.
    fn begin(core: &Arc<Core>) -> Weak<Self> {
        let gathering = Arc::new(Self {
            shared: core.shared.clone(),
            cores: Mutex::new(Some(vec![core.clone()])),
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
            Some(cores) if cores.len() < MOST => cores.push(core.clone()),
            _ => return false,
        }
        true
    }

    async fn commit(self: Arc<Self>, _busy: Busy) {
        let gathered = self.cores().take().unwrap_or_default();
        let (mut cores, mut commits) = (Vec::new(), Vec::new());
        for core in gathered {
            if let Err(error) = core.store.check_shared().await {
                end(&core, Err(error));
                continue;
            }
            commits.push(Commit {
                object: core.key.clone(),
                batch: core.gate.in_flight(),
            });
            cores.push(core);
        }
        let committed = self.shared.storage.commit_all(commits).await;
        debug_assert_eq!(committed.len(), cores.len(), "each commit has its result");
        for (core, result) in cores.iter().zip(committed) {
            end(core, result);
        }
    }

    fn cores(&self) -> MutexGuard<'_, Option<Vec<Arc<Core>>>> {
        self.cores.lock().unwrap_or_else(PoisonError::into_inner)
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
