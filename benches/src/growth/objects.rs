//! What a read and a write cost by the number of objects that a store holds.
//! Goes through `Storage` alone, without a server. Measures this machine's disk as well: a write is on it
//! when it has ended.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use wsworker::storage::{Batch, Commit, Key, ObjectKey, SqliteStorage, Storage};

use super::curve::{Axes, Curve};
use crate::bare::Rows;

/// Objects, each with one value.
const OBJECTS: [u64; 3] = [100, 10_000, 1_000_000];
/// Bytes of a value.
const SIZE: usize = 100;
/// Reads at once, and writes that are made as one.
const GROUP: usize = 64;
/// Writes that are made as one while a store is filled: as many as a transaction takes.
const FILL: usize = 1_024;

/// Of a get, and of a put, of an object at random; in microseconds. Stores are made in `directory`.
pub fn objects(repetitions: usize, seconds: f64, directory: &Path) -> Result<Vec<Curve>> {
    let axes = |measured| Axes {
        row: "objects",
        measured,
        over: "objects",
        goal: Some(2.0),
    };
    let mut gets = Curve::new(axes("time of a get, 64 at once, µs"), &OBJECTS);
    let mut puts = Curve::new(axes("time of a put, 64 in a group, µs"), &OBJECTS);
    let mut stores = Vec::new();
    for count in OBJECTS {
        stores.push(Store::filled(directory, count)?);
    }
    let time = Duration::from_secs_f64(seconds);
    for _ in 0..repetitions {
        // First all reads, so that none has the log of its own store's writes to go through alone.
        for (nth, store) in stores.iter_mut().enumerate() {
            gets.add(nth, store.get(time)?, false);
        }
        for (nth, store) in stores.iter_mut().enumerate() {
            puts.add(nth, store.put(time)?, false);
        }
    }
    Ok(vec![gets, puts])
}

struct Store {
    // Dropped before its directory.
    storage: Arc<SqliteStorage>,
    runtime: Runtime,
    count: u64,
    /// How many objects were picked so far.
    picked: u64,
    _directory: TempDir,
}

impl Store {
    fn filled(within: &Path, count: u64) -> Result<Self> {
        let directory = tempfile::tempdir_in(within)?;
        let store = Self {
            storage: Arc::new(SqliteStorage::open(directory.path()).map_err(boxed)?),
            runtime: Builder::new_current_thread().build()?,
            count,
            picked: 0,
            _directory: directory,
        };
        // In their order on the disk: it is not the filling that is measured.
        let mut ids: Vec<_> = (0..count).map(|n| Rows::object(n as usize)).collect();
        ids.sort_unstable();
        for ids in ids.chunks(FILL) {
            let commits = ids.iter().map(|id| commit(*id, 0));
            store.commit_all(commits.collect())?;
        }
        Ok(store)
    }

    /// The next one: each once before one comes again, neighbours far apart.
    fn pick(&mut self) -> [u8; 32] {
        /// A prime, which divides no number of objects.
        const STRIDE: u64 = 7_919;
        self.picked += 1;
        Rows::object((self.picked * STRIDE % self.count) as usize)
    }

    /// Microseconds for each of many reads, so many at once.
    fn get(&mut self, time: Duration) -> Result<f64> {
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < time {
            let local = LocalSet::new();
            let mut tasks = Vec::with_capacity(GROUP);
            for _ in 0..GROUP {
                let (storage, object) = (Arc::clone(&self.storage), object(self.pick()));
                tasks.push(
                    local.spawn_local(async move { storage.get(&object, vec![key()]).await }),
                );
            }
            for task in tasks {
                let values = local.block_on(&self.runtime, task)?.map_err(boxed)?;
                let whole = values[0].as_ref().is_some_and(|value| value.len() == SIZE);
                ensure!(whole, "an object has lost its value");
            }
            done += GROUP;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / done as f64)
    }

    /// Microseconds for each of many writes, a group of them at once.
    fn put(&mut self, time: Duration) -> Result<f64> {
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < time {
            let commits = (0..GROUP).map(|_| commit(self.pick(), self.picked));
            let commits = commits.collect();
            self.commit_all(commits)?;
            done += GROUP;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / done as f64)
    }

    fn commit_all(&self, commits: Vec<Commit>) -> Result<()> {
        let results = self.runtime.block_on(self.storage.commit_all(commits));
        results
            .into_iter()
            .try_for_each(|result| result.map_err(boxed))
    }
}

/// Of a value that is another one each time: SQLite does not write a row that is the same.
fn commit(id: [u8; 32], count: u64) -> Commit {
    let rows = Rows {
        objects: 1,
        keys: 1,
        size: SIZE,
    };
    let mut batch = Batch::default();
    batch.writes.insert(key(), Some(rows.value(count).into()));
    Commit {
        object: object(id),
        batch: Arc::new(batch),
    }
}

fn object(id: [u8; 32]) -> ObjectKey {
    ObjectKey {
        class: "bench".into(),
        id,
    }
}

fn key() -> Key {
    b"value".to_vec().into()
}

fn boxed(error: wsworker::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into_std())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_written_through_all_objects() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::filled(directory.path(), 100).unwrap();
        let time = Duration::from_millis(1);
        assert!(store.put(time).unwrap() > 0.0);
        assert!(store.get(time).unwrap() > 0.0);
        let mut ids: Vec<_> = (0..100).map(|_| store.pick()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 100);
    }
}
