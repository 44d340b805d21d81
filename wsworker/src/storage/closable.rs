//! A storage that can be let go of while others still hold it: a server's, when it has
//! ended, though somebody keeps one of its sockets.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Alarm, Batch, Commit, Key, ObjectDatabase, ObjectKey, Range, Storage};
use crate::error::{Error, Result};

/// Another storage, until it is closed.
pub(crate) struct Closable(RwLock<Option<Arc<dyn Storage>>>);

impl Closable {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self(RwLock::new(Some(storage)))
    }

    /// Gives it, for whoever calls to drop it, which may take a while: every later call
    /// fails, and one that is under way still has it.
    pub(crate) fn close(&self) -> Option<Arc<dyn Storage>> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn open(&self) -> Result<Arc<dyn Storage>> {
        let storage = self.0.read().unwrap_or_else(PoisonError::into_inner);
        storage
            .clone()
            .ok_or_else(|| Error::storage("the server has ended, and its storage is closed", None))
    }
}

#[async_trait]
impl Storage for Closable {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        self.open()?.get(object, keys).await
    }

    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>> {
        self.open()?.list(object, range).await
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        self.open()?.alarm(object).await
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        self.open()?.alarms(limit).await
    }

    async fn alarm_classes(&self) -> Result<Vec<Arc<str>>> {
        self.open()?.alarm_classes().await
    }

    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()> {
        self.open()?.commit(object, batch).await
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Vec<Result<()>> {
        match self.open() {
            Ok(storage) => storage.commit_all(commits).await,
            Err(_) => {
                let closed = |_| self.open().map(drop);
                commits.iter().map(closed).collect()
            }
        }
    }

    async fn backup_to(&self, path: &Path) -> Result<()> {
        self.open()?.backup_to(path).await
    }

    fn has_sql(&self) -> bool {
        self.open().is_ok_and(|storage| storage.has_sql())
    }

    async fn open_database(&self, object: &ObjectKey) -> Result<Box<dyn ObjectDatabase>> {
        self.open()?.open_database(object).await
    }

    async fn has_database(&self, object: &ObjectKey) -> Result<bool> {
        self.open()?.has_database(object).await
    }
}
