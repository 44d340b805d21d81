//! A storage in memory whose commits wait, or fail, when a test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use wsworker::prelude::*;
use wsworker::storage::{Alarm, Batch, Key, MemoryStorage, ObjectKey, Range, Storage};

#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    memory: MemoryStorage,
    /// Commits that may go on.
    open: Semaphore,
    failing: AtomicBool,
    panicking: AtomicBool,
    /// Commits that were asked for.
    commits: AtomicUsize,
    reads: AtomicUsize,
    /// How long what a read found is on its way, in milliseconds.
    slow: AtomicU64,
}

impl Scripted {
    /// Every commit goes on at once.
    pub fn open() -> Self {
        let scripted = Self::held();
        scripted.let_go(Semaphore::MAX_PERMITS);
        scripted
    }

    /// Every commit waits.
    pub fn held() -> Self {
        Self(Arc::new(Inner {
            memory: MemoryStorage::new(),
            open: Semaphore::new(0),
            failing: AtomicBool::new(false),
            panicking: AtomicBool::new(false),
            commits: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            slow: AtomicU64::new(0),
        }))
    }

    pub fn let_go(&self, commits: usize) {
        self.0.open.add_permits(commits);
    }

    pub fn fail(&self, failing: bool) {
        self.0.failing.store(failing, Ordering::SeqCst);
    }

    pub fn panic(&self, panicking: bool) {
        self.0.panicking.store(panicking, Ordering::SeqCst);
    }

    pub fn slow_reads(&self, time: Duration) {
        let millis = time.as_millis().try_into().unwrap();
        self.0.slow.store(millis, Ordering::SeqCst);
    }

    pub fn commits(&self) -> usize {
        self.0.commits.load(Ordering::SeqCst)
    }

    pub fn reads(&self) -> usize {
        self.0.reads.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Storage for Scripted {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.0.memory.get(object, keys).await;
        let slow = Duration::from_millis(self.0.slow.load(Ordering::SeqCst));
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        found
    }

    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>> {
        self.0.memory.list(object, range).await
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        self.0.memory.alarm(object).await
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        assert!(!self.0.panicking.load(Ordering::SeqCst), "as asked");
        self.0.memory.alarms(limit).await
    }

    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()> {
        self.0.commits.fetch_add(1, Ordering::SeqCst);
        self.0.open.acquire().await?.forget();
        assert!(!self.0.panicking.load(Ordering::SeqCst), "as asked");
        if self.0.failing.load(Ordering::SeqCst) {
            return Err(Error::new("the disk is on fire"));
        }
        self.0.memory.commit(object, batch).await
    }
}
