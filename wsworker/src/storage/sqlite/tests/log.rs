//! The write-ahead log stays short.

use std::fs;

use tempfile::tempdir;

use super::super::log::Limits;
use super::{SqliteStorage, object, put};
use crate::storage::{Range, Storage};

const LIMITS: Limits = Limits {
    copy: 16,
    restart: 64,
};

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
