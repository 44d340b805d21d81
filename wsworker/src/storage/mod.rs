//! Where objects keep their state: keys and values, and one alarm, for each object.
//! Does not know objects' code or events; a commit is a batch, whatever made it.
//!
//! [`Storage`] is what a backend implements. [`SqliteStorage`] keeps everything in one
//! database on this machine's disk; [`MemoryStorage`] forgets it with the process, for
//! tests. One that has SQL gives each object that wants it a database of its own, an
//! [`ObjectDatabase`].

mod batch;
mod closable;
#[cfg(feature = "testing")]
mod faulty;
mod memory;
mod sql;
mod sqlite;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod suite;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;

pub use self::batch::{Alarm, AlarmChange, Batch, Commit, Key, ObjectKey, Range};
pub(crate) use self::closable::Closable;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use self::faulty::{Fault, FaultyStorage, Hold};
pub use self::memory::MemoryStorage;
pub(crate) use self::sql::HINT;
pub use self::sql::{ObjectDatabase, SqlQuery, SqlRows, SqlValue};
pub use self::sqlite::SqliteStorage;
use crate::error::{Error, Result};

/// Holds the state of many objects. Shared by all of them, from any thread.
///
/// ### Must hold
/// - **Atomic**: of a batch everything is stored or nothing, alarm included.
/// - **Durable**: when [`commit`](Self::commit) has returned `Ok`, the batch outlives
///   a kill of the process and a loss of power.
/// - **Undone on failure**: when it has returned `Err`, nothing of the batch is to be
///   seen, and the next commit works if its cause is gone.
/// - **In order**: commits of one object apply in the order in which they were
///   called. Of two objects nothing is promised, and a failed batch of one fails
///   none of another's.
/// - **Seen at once**: what a commit that returned has stored, every later call sees.
/// - **Cancelled calls finish**: a dropped `commit` future that was polled once
///   either happens as a whole or not at all. That is settled when a later commit of
///   the object that stores something has returned: an empty one need not wait.
/// - Calls may come from any thread and any tokio runtime, many at once. They do not
///   block it.
///
/// With the feature `testing`, `storage::suite` checks most of that.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The values of these keys, in their order; `None` for one that is not there.
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>>;

    /// The keys of a range with their values, in the range's direction, at most its
    /// limit. Keys are ordered as bytes.
    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>>;

    /// The object's alarm, if it has one.
    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>>;

    /// The alarms that are due first, over all objects, at most `limit`, the earliest
    /// first.
    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>>;

    /// The classes of the objects that have an alarm, each once, in any order. By default
    /// from all of [`alarms`](Self::alarms).
    async fn alarm_classes(&self) -> Result<Vec<Arc<str>>> {
        let alarms = self.alarms(usize::MAX).await?;
        let classes: HashSet<_> = alarms.into_iter().map(|(object, _)| object.class).collect();
        Ok(classes.into_iter().collect())
    }

    /// Stores a batch.
    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()>;

    /// Stores batches of several objects, and gives what became of each, in their order.
    /// As `commit` of each, all called in this order; the answer comes when the last has
    /// ended. A storage that can make one of many writes does it here.
    async fn commit_all(&self, commits: Vec<Commit>) -> Vec<Result<()>> {
        let begun = commits.iter().map(|Commit { object, batch }| {
            let batch = (**batch).clone();
            self.commit(object, batch)
        });
        join_all(begun).await
    }

    /// Has it SQL? By default not; one that has implements the next two as well.
    fn has_sql(&self) -> bool {
        false
    }

    /// Opens the object's own database, and makes it where it is not there. What the
    /// object keeps is all in there then; of the rest of this trait only its alarm is
    /// used, as a hint. Whoever opens it is the only one until he drops it.
    ///
    /// # Errors
    /// There is no SQL here; or the database cannot be opened, which concerns no other
    /// object.
    async fn open_database(&self, object: &ObjectKey) -> Result<Box<dyn ObjectDatabase>> {
        let message = format!("this storage has no SQL, and {object} asks for it");
        Err(Error::storage(message, None))
    }

    /// Has the object a database of its own, open or not?
    async fn has_database(&self, object: &ObjectKey) -> Result<bool> {
        let _ = object;
        Ok(false)
    }

    /// Copies the state of one moment to a new file, while reads and commits go on.
    /// A storage that is no file need not have it.
    async fn backup_to(&self, path: &Path) -> Result<()> {
        let path = path.display();
        let message = format!("this storage cannot be backed up, to {path} or elsewhere");
        Err(Error::storage(message, None))
    }
}

#[async_trait]
impl<S: Storage + ?Sized> Storage for Arc<S> {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        (**self).get(object, keys).await
    }

    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>> {
        (**self).list(object, range).await
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        (**self).alarm(object).await
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        (**self).alarms(limit).await
    }

    async fn alarm_classes(&self) -> Result<Vec<Arc<str>>> {
        (**self).alarm_classes().await
    }

    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()> {
        (**self).commit(object, batch).await
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Vec<Result<()>> {
        (**self).commit_all(commits).await
    }

    fn has_sql(&self) -> bool {
        (**self).has_sql()
    }

    async fn open_database(&self, object: &ObjectKey) -> Result<Box<dyn ObjectDatabase>> {
        (**self).open_database(object).await
    }

    async fn has_database(&self, object: &ObjectKey) -> Result<bool> {
        (**self).has_database(object).await
    }

    async fn backup_to(&self, path: &Path) -> Result<()> {
        (**self).backup_to(path).await
    }
}
