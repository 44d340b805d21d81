//! What only this storage does, and what has to be provoked in its database.
//! `storage::suite` has what every storage must hold.

mod backup;
mod commits;
mod log;
mod opening;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::{Limits, SqliteStorage};
use crate::error::Result;
use crate::storage::{Batch, Key, ObjectKey, Range, Storage};

/// A storage whose COMMITs the test holds or refuses.
struct Held {
    storage: SqliteStorage,
    commits: Commits,
    directory: TempDir,
}

/// What the database's commit hook does, and has seen.
#[derive(Clone, Default)]
struct Commits {
    begun: Arc<AtomicUsize>,
    hold: Arc<AtomicBool>,
    refuse: Arc<AtomicBool>,
}

impl Held {
    /// It has stored something of the class `room`, and counts from then on.
    async fn open() -> Self {
        Self::open_with("").await
    }

    /// The same, with some SQL for the connection that writes.
    async fn open_with(sql: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let commits = Commits::default();
        let hook = commits.clone();
        let storage = SqliteStorage::open_with(directory.path(), Limits::default(), |connection| {
            connection.execute_batch(sql)?;
            connection.commit_hook(Some(move || hook.commit()))
        });
        let storage = storage.unwrap();
        storage.commit(&object(0), put("first", "")).await.unwrap();
        commits.begun.store(0, Ordering::SeqCst);
        Self {
            storage,
            commits,
            directory,
        }
    }

    /// Lets a commit begin, and holds it.
    fn hold_one(&self) -> Call<'_> {
        self.commits.hold.store(true, Ordering::SeqCst);
        let commit = self.called(0, put("held", ""));
        while self.commits.begun() == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        commit
    }

    /// A commit that waits in the queue, or for room in it.
    fn called(&self, number: u8, batch: Batch) -> Call<'_> {
        let object = object(number);
        let mut commit = Box::pin(async move { self.storage.commit(&object, batch).await });
        assert!(poll(&mut commit).is_pending());
        commit
    }
}

impl Commits {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    fn refuse(&self, refuse: bool) {
        self.refuse.store(refuse, Ordering::SeqCst);
    }

    fn release(&self) {
        self.hold.store(false, Ordering::SeqCst);
    }

    fn commit(&self) -> bool {
        self.begun.fetch_add(1, Ordering::SeqCst);
        while self.hold.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        self.refuse.load(Ordering::SeqCst)
    }
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

fn poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn object(number: u8) -> ObjectKey {
    ObjectKey {
        class: "room".into(),
        id: [number; 32],
    }
}

fn put(key: &'static str, value: impl Into<Bytes>) -> Batch {
    let writes = [(Key::from(key), Some(value.into()))].into();
    Batch {
        writes,
        ..Batch::default()
    }
}

/// The object's keys, as text.
async fn keys(storage: &SqliteStorage, number: u8) -> Vec<String> {
    let entries = storage.list(&object(number), Range::ALL).await.unwrap();
    let keys = entries.into_iter().map(|(key, _)| key.to_vec());
    keys.map(|key| String::from_utf8(key).unwrap()).collect()
}
