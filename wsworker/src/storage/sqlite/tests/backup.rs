//! Copies of a storage in use.

use std::cell::Cell;
use std::fs;

use tempfile::tempdir;

use super::{Held, SqliteStorage, keys, object, put};
use crate::storage::{Alarm, AlarmChange, Batch, Storage};

#[tokio::test]
async fn a_backup_is_of_one_moment_and_opens_as_a_storage() {
    let directory = tempdir().unwrap();
    let storage = SqliteStorage::open(directory.path().join("data")).unwrap();
    let alarm = Alarm { at: 7, retries: 1 };
    for number in 0..50_u8 {
        let mut batch = put("key", vec![number; 10_000]);
        batch.alarm = Some(AlarmChange::Set(alarm));
        storage.commit(&object(number), batch).await.unwrap();
    }
    // These two are always the same.
    let both = |n: u32| {
        let mut both = put("one", n.to_string());
        both.merge(put("two", n.to_string()));
        both
    };
    storage.commit(&object(99), both(0)).await.unwrap();

    let copies = directory.path().join("copies");
    fs::create_dir(&copies).unwrap();
    let copy = copies.join("objects.db");
    let done = Cell::new(false);
    let copied = async {
        let copied = storage.backup(&copy).await;
        done.set(true);
        copied.unwrap();
    };
    let commits = async {
        let mut n = 0;
        while !done.get() {
            n += 1;
            storage.commit(&object(99), both(n)).await.unwrap();
        }
    };
    tokio::join!(copied, commits);
    storage.commit(&object(0), put("later", "")).await.unwrap();
    drop(storage);

    let names = fs::read_dir(&copies)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["objects.db"]);
    let storage = SqliteStorage::open(&copies).unwrap();
    for number in 0..50_u8 {
        let value = storage
            .get(&object(number), vec!["key".into()])
            .await
            .unwrap();
        assert_eq!(value[0].as_deref(), Some(&[number; 10_000][..]));
    }
    assert_eq!(keys(&storage, 0).await, ["key"]);
    assert_eq!(storage.alarm(&object(1)).await.unwrap(), Some(alarm));
    let pair = storage
        .get(&object(99), vec!["one".into(), "two".into()])
        .await
        .unwrap();
    assert!(pair[0].is_some() && pair[0] == pair[1], "{pair:?}");
    storage
        .commit(
            &object(1),
            Batch {
                clear: true,
                ..Batch::default()
            },
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_backup_overwrites_nothing() {
    let held = Held::open().await;
    let copy = held.directory.path().join("copy.db");
    fs::write(&copy, "mine").unwrap();
    let error = held.storage.backup(&copy).await.unwrap_err();
    assert!(error.is_storage());
    assert!(
        error.to_string().ends_with("copy.db: it is there already"),
        "{error}"
    );
    assert_eq!(fs::read(&copy).unwrap(), b"mine");
}

#[tokio::test]
async fn a_backup_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let held = Held::open().await;
    let nowhere = held.directory.path().join("nowhere/copy.db");
    let error = held.storage.backup(&nowhere).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot write a backup to "),
        "{error}"
    );
    let error = held.storage.backup("/").await.unwrap_err();
    assert!(error.is_storage(), "{error}");
    held.storage
        .commit(&object(0), put("key", ""))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_backup_does_not_wait_for_commits() {
    let held = Held::open().await;
    let first = held.hold_one();
    let copy = held.directory.path().join("copy.db");
    held.storage.backup(&copy).await.unwrap();
    held.commits.release();
    first.await.unwrap();
}

#[tokio::test]
async fn a_backup_passes_files_whose_making_was_interrupted() {
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    let storage = SqliteStorage::open(&data).unwrap();
    for number in 0..3_u8 {
        let own = storage.open_database(&object(number)).await.unwrap();
        own.commit(put("key", "value")).await.unwrap();
    }
    // Dropped, and so closed: what a kill leaves is made of two of them.
    drop(storage);
    let file = |number: u8| {
        let name = format!("{number:02x}").repeat(32) + ".db";
        data.join("objects").join("room").join(name)
    };
    fs::write(file(0), "").unwrap();
    let unnamed = rusqlite::Connection::open(file(1)).unwrap();
    unnamed.execute("DELETE FROM _ws_object", []).unwrap();
    drop(unnamed);

    let storage = SqliteStorage::open(&data).unwrap();
    let copies = directory.path().join("copies");
    fs::create_dir(&copies).unwrap();
    storage.backup(copies.join("objects.db")).await.unwrap();
    drop(storage);
    let copied = fs::read_dir(copies.join("objects/room")).unwrap();
    assert_eq!(copied.count(), 1);
    let storage = SqliteStorage::open(&copies).unwrap();
    for (number, kept) in [(0, false), (1, false), (2, true)] {
        let own = storage.open_database(&object(number)).await.unwrap();
        let value = own.get(vec!["key".into()]).await.unwrap();
        assert_eq!(value[0].is_some(), kept, "{number}");
    }
}
