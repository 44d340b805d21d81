//! The write-ahead log stays short.

use std::fs;

use rusqlite::wal::CheckpointMode;
use tempfile::tempdir;

use super::super::database::{Place, touch};
use super::super::log::{Limits, checkpoint};
use super::{SqliteStorage, object, put};
use crate::storage::{Range, Storage};

const LIMITS: Limits = Limits {
    copy: 16,
    restart: 64,
    full: 128,
};

/// What a failed commit left in the log is written over so.
#[test]
fn what_stands_there_already_is_written_all_the_same() {
    let directory = tempdir().unwrap();
    let place = Place::take(directory.path()).unwrap();
    let connection = place.open().unwrap();
    let pages = || checkpoint(&connection, CheckpointMode::NOOP).unwrap().0;
    let before = pages();
    touch(&connection).unwrap();
    assert_eq!(pages(), before + 1);
    touch(&connection).unwrap();
    assert_eq!(pages(), before + 2);
}

/// Each commit leaves more to be copied than commits wait for.
#[tokio::test]
async fn the_log_starts_afresh_under_large_commits() {
    let directory = tempdir().unwrap();
    let storage = SqliteStorage::open_with(directory.path(), LIMITS, |_| Ok(())).unwrap();
    let commits = async |of: u8| {
        for n in 0..60 {
            let value = vec![n; 100_000];
            storage
                .commit(&object(of), put("key", value))
                .await
                .unwrap();
        }
    };
    tokio::join!(commits(1), commits(2), commits(3));
    let log = fs::metadata(directory.path().join("objects.db-wal"))
        .unwrap()
        .len();
    // 18 MB went through it, of which 1 MiB and one group's may stay.
    assert!(log < 2 << 20, "{log}");
}

#[tokio::test]
async fn the_log_starts_afresh_under_commits_without_a_pause() {
    let directory = tempdir().unwrap();
    let storage = SqliteStorage::open_with(directory.path(), LIMITS, |_| Ok(())).unwrap();
    let commits = async || {
        for n in 0..300 {
            let value = vec![n as u8; 8000];
            storage
                .commit(&object(n as u8), put("key", value))
                .await
                .unwrap();
        }
    };
    let reads = async || {
        for n in 0..300 {
            storage.list(&object(n as u8), Range::ALL).await.unwrap();
        }
    };
    tokio::join!(commits(), commits(), reads());
    let log = fs::metadata(directory.path().join("objects.db-wal"))
        .unwrap()
        .len();
    // 6 MB went through it, of which 256 KiB may stay.
    assert!(log < 1 << 20, "{log}");
    drop(storage);
    assert!(!directory.path().join("objects.db-wal").exists());
}
