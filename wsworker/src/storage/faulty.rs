//! A storage that fails when a test wants it, in front of another.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::unconstrained;

use super::{Alarm, Batch, Key, ObjectDatabase, ObjectKey, Range, SqlQuery, SqlRows, Storage};
use crate::error::{Error, Result};

/// Passes calls on to another storage, but for those that a test makes fail or wait.
/// Without faults it holds what that one holds.
///
/// Its errors are [`is_storage`](Error::is_storage). Delays follow tokio's clock, which
/// tests may pause.
///
/// ```
/// use std::sync::Arc;
/// use wsworker::storage::{Batch, Fault, FaultyStorage, MemoryStorage, ObjectKey, Storage};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> wsworker::Result<()> {
/// let storage = Arc::new(FaultyStorage::new(MemoryStorage::new()));
/// let object = ObjectKey { class: "room".into(), id: [0; 32] };
///
/// storage.fail(2, Fault::Before); // the second from now on
/// storage.commit(&object, Batch::default()).await?;
/// assert!(storage.commit(&object, Batch::default()).await.unwrap_err().is_storage());
/// storage.commit(&object, Batch::default()).await
/// # }
/// ```
pub struct FaultyStorage {
    inner: Box<dyn Storage>,
    faults: Arc<Faults>,
}

/// An object's own database behind it; its commits count as the storage's.
struct FaultyDatabase {
    inner: Box<dyn ObjectDatabase>,
    object: ObjectKey,
    faults: Arc<Faults>,
}

struct Faults {
    state: Mutex<State>,
    holds: Arc<watch::Sender<usize>>,
}

/// What goes wrong with a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is stored.
    Before,
    /// It is stored, and an error all the same, which no storage may do: so a process
    /// looks that died before it heard the answer.
    After,
}

/// While it lives, commits wait. From [`FaultyStorage::hold`].
pub struct Hold(Arc<watch::Sender<usize>>);

#[derive(Default)]
struct State {
    commits: usize,
    /// By the commit's number.
    faults: HashMap<usize, Fault>,
    broken: bool,
    delay: Duration,
    /// Commits of one object wait for each other, so that none overtakes.
    turns: HashMap<ObjectKey, Arc<tokio::sync::Mutex<()>>>,
}

impl FaultyStorage {
    /// In front of this one, and without faults yet.
    pub fn new(inner: impl Storage) -> Self {
        Self {
            inner: Box::new(inner),
            faults: Arc::new(Faults {
                state: Mutex::default(),
                holds: Arc::new(watch::Sender::new(0)),
            }),
        }
    }

    /// Makes a commit fail: the first that is called from now on, the second and so on.
    ///
    /// # Panics
    /// With 0.
    pub fn fail(&self, nth: usize, fault: Fault) {
        assert!(nth > 0, "the next commit is the first");
        let mut state = self.state();
        let number = state.commits + nth;
        state.faults.insert(number, fault);
    }

    /// Makes every call fail, reads too, until [`repair`](Self::repair).
    pub fn break_down(&self) {
        self.state().broken = true;
    }

    /// Ends what [`break_down`](Self::break_down) began.
    pub fn repair(&self) {
        self.state().broken = false;
    }

    /// Makes commits take so much longer, those that are called from now on. Those of
    /// one object follow each other.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Makes commits wait, and reads not, until what it returns is dropped.
    #[must_use = "dropping it lets the commits go on"]
    pub fn hold(&self) -> Hold {
        let holds = &self.faults.holds;
        holds.send_modify(|holds| *holds += 1);
        Hold(Arc::clone(holds))
    }

    /// How many commits have been called.
    pub fn commits(&self) -> usize {
        self.state().commits
    }

    fn read(&self) -> Result<&dyn Storage> {
        self.faults.check()?;
        Ok(&*self.inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.faults.state()
    }
}

impl Faults {
    fn check(&self) -> Result<()> {
        match self.state().broken {
            true => Err(Error::storage("broken down for a test", None)),
            false => Ok(()),
        }
    }

    /// Commits as the test wants it.
    async fn commit(
        &self,
        object: &ObjectKey,
        commit: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let (number, fault, delay, turn) = {
            let mut state = self.state();
            state.commits += 1;
            let number = state.commits;
            let fault = state.faults.remove(&number);
            let turn = Arc::clone(state.turns.entry(object.clone()).or_default());
            (number, fault, state.delay, turn)
        };
        // Unconstrained: its place in the queue is that of the call.
        let _turn = unconstrained(turn.lock()).await;
        let mut holds = self.holds.subscribe();
        let released = holds.wait_for(|holds| *holds == 0).await;
        drop(released.map_err(|_| Error::storage("dropped", None))?);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if fault != Some(Fault::Before) {
            self.check()?;
            commit.await?;
        }
        match fault {
            None => Ok(()),
            Some(fault) => {
                let message = format!("commit {number} fails for a test: {fault:?}");
                Err(Error::storage(message, None))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        self.read()?.get(object, keys).await
    }

    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>> {
        self.read()?.list(object, range).await
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        self.read()?.alarm(object).await
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        self.read()?.alarms(limit).await
    }

    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()> {
        let commit = self.inner.commit(object, batch);
        self.faults.commit(object, commit).await
    }

    async fn backup_to(&self, path: &Path) -> Result<()> {
        self.read()?.backup_to(path).await
    }

    fn has_sql(&self) -> bool {
        self.inner.has_sql()
    }

    async fn open_database(&self, object: &ObjectKey) -> Result<Box<dyn ObjectDatabase>> {
        Ok(Box::new(FaultyDatabase {
            inner: self.read()?.open_database(object).await?,
            object: object.clone(),
            faults: Arc::clone(&self.faults),
        }))
    }

    async fn has_database(&self, object: &ObjectKey) -> Result<bool> {
        self.read()?.has_database(object).await
    }
}

impl FaultyDatabase {
    fn read(&self) -> Result<&dyn ObjectDatabase> {
        self.faults.check()?;
        Ok(&*self.inner)
    }
}

#[async_trait]
impl ObjectDatabase for FaultyDatabase {
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        self.read()?.get(keys).await
    }

    async fn list(&self, range: Range) -> Result<Vec<(Key, Bytes)>> {
        self.read()?.list(range).await
    }

    async fn alarm(&self) -> Result<Option<Alarm>> {
        self.read()?.alarm().await
    }

    async fn query(&self, query: SqlQuery) -> Result<SqlRows> {
        self.read()?.query(query).await
    }

    async fn clear_tables(&self) -> Result<()> {
        self.read()?.clear_tables().await
    }

    async fn size(&self) -> Result<u64> {
        self.read()?.size().await
    }

    /// One that fails before it is stored is undone, as any that fails.
    async fn commit(&self, batch: Batch) -> Result<()> {
        let commit = self.inner.commit(batch);
        let committed = self.faults.commit(&self.object, commit).await;
        if committed.is_err() {
            self.inner.rollback().await?;
        }
        committed
    }

    async fn rollback(&self) -> Result<()> {
        self.inner.rollback().await
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|holds| *holds -= 1);
    }
}
