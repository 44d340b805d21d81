//! State in one SQLite database, for all objects of a process.
//! Does not replicate: one machine's disk has it, and one process at a time.
//!
//! [`writer`] is one thread, which commits for many objects at once; [`reader`] are a
//! few, which read past it; [`log`] keeps the write-ahead log short. [`own`] is what
//! objects with SQL have instead: a file each. The rest is what is done once: [`lock`],
//! [`database`] and [`backup`].

mod apply;
mod backup;
mod database;
mod group;
mod lock;
mod log;
mod misnamed;
pub(super) mod own;
mod reader;
#[cfg(test)]
mod tests;
mod threads;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use self::database::Place;
use self::log::Limits;
use self::own::Owns;
use self::reader::{Reader, Readers};
use self::writer::Writer;
use super::{Alarm, Batch, Commit, Key, ObjectDatabase, ObjectKey, Range, Storage};
use crate::error::Result;

/// Keeps everything in `objects.db` in a directory, but for objects with SQL: each of
/// those has a file of its own there, `objects/<class>/<id>.db`.
///
/// ### Commits
/// One thread makes one transaction of all batches that wait for it, of up to 1,024
/// and 8 MiB: so a sync of the disk serves many objects. What a batch's own statements
/// cannot do (the disk is full) fails that batch; when the sync fails, all of its
/// transaction do. A commit that has returned is on the disk (WAL, `synchronous=FULL`).
///
/// The queue is as long as there are callers that wait, and takes each at its first
/// poll. A commit whose future is dropped before its transaction begins does not
/// happen.
///
/// ### Reads
/// Two to four threads (as many as cores) read beside the commits. A `get` or `list`
/// sees one moment of its object. The caches take up to 2 MiB for each of these
/// threads, and 16 MiB for the one that commits.
///
/// ### The log
/// Commits go to `objects.db-wal`. A thread copies it into the database each 16 MiB;
/// then it starts afresh, for which commits wait until the disk has what was copied:
/// at once where a copy takes less than 4 ms, as many writes are of the same objects,
/// else at 64 MiB. Only a read that goes on meanwhile, of a backup above all, lets it
/// grow beyond that: for as long as it lasts, by what is committed.
///
/// ### Objects with SQL
/// Their files are opened when they are needed and closed when the object hibernates.
/// A new one takes some 10 ms and 40 KiB of the disk; an open one three descriptors and
/// up to 1 MiB of cache. So at most a sixth as many are open at once as the process may have
/// files when the storage is opened; one more is [overloaded](crate::Error::is_overloaded),
/// until another hibernates. 4 to 16 threads (as many as cores) run their SQL and commit,
/// each for one object at a time. A file that is damaged, or was written by a newer
/// version, is an error for its object alone.
///
/// ### Closing
/// Dropping it waits until the last transaction is committed and the log is in the
/// database: milliseconds, seconds where a disk is slow and much was to be done. A
/// process that ends without that, or is killed, loses nothing: the next one reads
/// the log.
pub struct SqliteStorage {
    // Dropped in this order: the last that closes the database empties its log.
    readers: Readers,
    writer: Writer,
    owns: Owns,
    place: Arc<Place>,
}

impl SqliteStorage {
    /// Opens the storage in a directory, and makes both where they are not there.
    /// Blocks while it reads the log of a process that was killed.
    ///
    /// # Errors
    /// [`is_storage`](crate::Error::is_storage): the directory cannot be written or
    /// is in use, by another process or in this one; its `objects.db` is no
    /// database, is damaged, belongs to another application, or was written by a
    /// newer version; or there is none, but what is part of one, such as a copy under
    /// another name.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(directory.as_ref(), Limits::default(), |_| Ok(()))
    }

    fn open_with(
        directory: &Path,
        limits: Limits,
        prepare: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Self> {
        let place = Arc::new(Place::take(directory)?);
        let mut connection = place.open()?;
        prepare(&mut connection).map_err(|error| place.failed("open", error))?;
        Ok(Self {
            readers: Readers::start(&place)?,
            writer: Writer::start(connection, &place, limits)?,
            owns: Owns::new(&place)?,
            place,
        })
    }

    /// Copies the state of one moment, at which it has every commit that has returned,
    /// into a new file, while reads and commits go on. The file is an `objects.db`;
    /// what is at `path` is always complete and synced. A process that is killed
    /// meanwhile leaves a `.objects-backup-…` beside it.
    ///
    /// Where there are objects with SQL, their files go into a new directory `objects`
    /// beside it: each is of one moment of its object, some milliseconds a file, and
    /// with its alarm. So a copy to `copies/objects.db` makes `copies` a directory to
    /// [`open`](Self::open).
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// [`is_storage`](crate::Error::is_storage): there is a file at `path` already, or
    /// a directory `objects` that is needed; it cannot be written; or an object's file
    /// is damaged.
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        let place = Arc::clone(&self.place);
        let path = path.as_ref().to_owned();
        let (done, result) = oneshot::channel();
        threads::spawn("backup", move || {
            let _ = done.send(backup::write(&place, &path));
        })?;
        result.await.map_err(|_| threads::ended())?
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        let object = object.clone();
        let read = self.readers.read(move |reader| reader.get(&object, &keys));
        read.await
    }

    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let object = object.clone();
        let read = self
            .readers
            .read(move |reader| reader.list(&object, &range));
        read.await
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        let object = object.clone();
        self.readers.read(move |reader| reader.alarm(&object)).await
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        self.readers.read(move |reader| reader.alarms(limit)).await
    }

    async fn alarm_classes(&self) -> Result<Vec<Arc<str>>> {
        self.readers.read(Reader::alarm_classes).await
    }

    async fn commit(&self, object: &ObjectKey, batch: Batch) -> Result<()> {
        let (object, batch) = (object.clone(), Arc::new(batch));
        let committed = self.commit_all(vec![Commit { object, batch }]).await;
        committed.into_iter().next().expect("one was asked for")
    }

    async fn commit_all(&self, commits: Vec<Commit>) -> Vec<Result<()>> {
        self.writer.commit(commits).await
    }

    fn has_sql(&self) -> bool {
        true
    }

    async fn open_database(&self, object: &ObjectKey) -> Result<Box<dyn ObjectDatabase>> {
        Ok(Box::new(self.owns.open(object).await?))
    }

    async fn has_database(&self, object: &ObjectKey) -> Result<bool> {
        self.owns.has(object).await
    }

    async fn backup_to(&self, path: &Path) -> Result<()> {
        Self::backup(self, path).await
    }
}
