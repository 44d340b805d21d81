//! Where objects keep their state: keys and values, and one alarm, for each object.
//! Does not know objects' code or events; a commit is a batch, whatever made it.
//!
//! [`Storage`] is what a backend implements. [`SqliteStorage`] keeps everything in one
//! database on this machine's disk; [`MemoryStorage`] forgets it with the process, for
//! tests.

mod batch;
#[cfg(feature = "testing")]
mod faulty;
mod memory;
mod sqlite;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod suite;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::batch::{Alarm, AlarmChange, Batch, Key, ObjectKey, Range};
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub use self::faulty::{Fault, FaultyStorage, Hold};
pub use self::memory::MemoryStorage;
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
///   either happens as a whole or not at all.
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

    /// Stores a batch.
    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()>;

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

    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()> {
        (**self).commit(object, batch).await
    }

    async fn backup_to(&self, path: &Path) -> Result<()> {
        (**self).backup_to(path).await
    }
}
