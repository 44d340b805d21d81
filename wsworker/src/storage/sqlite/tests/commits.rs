//! Groups of commits, and what fails in them.

use std::sync::Arc;
use std::time::Duration;

use super::super::writer::{GROUP, GROUP_BYTES};
use super::{Held, SqliteStorage, keys, object, poll, put};
use crate::storage::{Alarm, AlarmChange, Batch, Commit, Storage};

/// Makes the database refuse a key.
const REFUSING: &str = "CREATE TEMP TRIGGER refuse BEFORE INSERT ON entries
    WHEN NEW.key = CAST('refused' AS BLOB) BEGIN SELECT RAISE(ABORT, 'refused'); END";

#[tokio::test]
async fn commits_that_come_during_one_share_the_next() {
    let held = Held::open().await;
    let first = held.hold_one();
    let rest: Vec<_> = (1..=100).map(|n| held.called(n, put("key", ""))).collect();
    held.commits.release();
    first.await.unwrap();
    for commit in rest {
        commit.await.unwrap();
    }
    assert_eq!(held.commits.begun(), 2);
    for n in 1..=100 {
        assert_eq!(keys(&held.storage, n).await, ["key"]);
    }
}

#[tokio::test]
async fn reads_do_not_wait_for_commits() {
    let held = Held::open().await;
    let mut first = held.hold_one();
    let mut queued = held.called(1, put("key", ""));
    let read = async {
        assert_eq!(keys(&held.storage, 0).await, ["first"]);
        assert!(keys(&held.storage, 1).await.is_empty());
        assert_eq!(held.storage.alarms(9).await.unwrap(), []);
    };
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("it waits");
    assert!(poll(&mut first).is_pending() && poll(&mut queued).is_pending());
    held.commits.release();
    queued.await.unwrap();
    assert_eq!(keys(&held.storage, 0).await, ["first", "held"]);
}

#[tokio::test]
async fn of_commits_called_as_one_those_that_fail_fail_alone() {
    let held = Held::open_with(REFUSING).await;
    let commits = (1..=9).map(|n| Commit {
        object: object(n),
        batch: Arc::new(put(if n % 4 == 0 { "refused" } else { "key" }, "")),
    });
    held.commits.release();
    let committed = held.storage.commit_all(commits.collect()).await;
    for (result, n) in committed.iter().zip(1..) {
        assert_eq!(result.is_ok(), n % 4 != 0, "{n}: {result:?}");
        let stored = keys(&held.storage, n).await;
        assert_eq!(stored, if n % 4 == 0 { vec![] } else { vec!["key"] });
    }
    assert_eq!(committed.len(), 9);
}

#[tokio::test]
async fn a_batch_that_fails_fails_alone() {
    let held = Held::open_with(REFUSING).await;
    let first = held.hold_one();
    let mut bad = put("before", "");
    bad.merge(put("refused", ""));
    bad.alarm = Some(AlarmChange::Set(Alarm { at: 1, retries: 0 }));
    let commits = (1..=9).map(|n| match n {
        3 | 4 | 9 => held.called(n, bad.clone()),
        _ => held.called(n, put("key", "")),
    });
    let commits: Vec<_> = commits.collect();
    held.commits.release();
    first.await.unwrap();
    for (commit, n) in commits.into_iter().zip(1..) {
        let result = commit.await;
        if matches!(n, 3 | 4 | 9) {
            let error = result.unwrap_err();
            assert!(error.is_storage(), "{error}");
            assert!(
                error.to_string().starts_with("cannot commit to "),
                "{error}"
            );
            assert!(error.to_string().contains("objects.db: refused"), "{error}");
            assert!(keys(&held.storage, n).await.is_empty());
        } else {
            result.unwrap();
            assert_eq!(keys(&held.storage, n).await, ["key"]);
        }
    }
    assert_eq!(held.storage.alarms(9).await.unwrap(), []);
    held.storage
        .commit(&object(3), put("key", ""))
        .await
        .unwrap();
    assert_eq!(keys(&held.storage, 3).await, ["key"]);
}

#[tokio::test]
async fn one_that_is_alone_can_fail_too() {
    let held = Held::open_with(REFUSING).await;
    let error = held.storage.commit(&object(1), put("refused", "")).await;
    assert!(error.unwrap_err().is_storage());
    held.storage
        .commit(&object(1), put("key", ""))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_commit_that_fails_fails_for_its_group_alone() {
    let held = Held::open().await;
    let first = held.hold_one();
    let second: Vec<_> = (1..=9).map(|n| held.called(n, put("key", ""))).collect();
    held.commits.refuse(true);
    held.commits.release();
    assert!(first.await.unwrap_err().is_storage());
    for commit in second {
        assert!(commit.await.unwrap_err().is_storage());
    }
    for n in 0..=9 {
        let before: &[&str] = if n == 0 { &["first"] } else { &[] };
        assert_eq!(keys(&held.storage, n).await, before);
    }
    held.commits.refuse(false);
    held.storage
        .commit(&object(1), put("other", ""))
        .await
        .unwrap();
    assert_eq!(keys(&held.storage, 1).await, ["other"]);
}

#[tokio::test]
async fn a_full_disk_fails_what_does_not_fit() {
    let held = Held::open_with("PRAGMA max_page_count = 100").await;
    let first = held.hold_one();
    let large = || put("large", vec![1; 300_000]);
    let fits = held.called(1, large());
    let does_not = held.called(2, large());
    let small = held.called(3, put("key", ""));
    held.commits.release();
    first.await.unwrap();
    fits.await.unwrap();
    let error = does_not.await.unwrap_err();
    assert!(
        error.to_string().ends_with("database or disk is full"),
        "{error}"
    );
    small.await.unwrap();
    assert!(keys(&held.storage, 2).await.is_empty());
    assert_eq!(keys(&held.storage, 3).await, ["key"]);

    let clear = Batch {
        clear: true,
        ..Batch::default()
    };
    held.storage.commit(&object(1), clear).await.unwrap();
    held.storage.commit(&object(2), large()).await.unwrap();
    assert_eq!(keys(&held.storage, 2).await, ["large"]);
}

#[tokio::test]
async fn a_class_that_cannot_be_added_fails_its_objects_alone() {
    let held = Held::open().await;
    held.commits.refuse(true);
    let mut other = object(1);
    other.class = "other".into();
    let error = held
        .storage
        .commit(&other, put("key", ""))
        .await
        .unwrap_err();
    assert!(error.is_storage(), "{error}");
    held.commits.refuse(false);
    assert_eq!(
        held.storage.get(&other, vec!["key".into()]).await.unwrap(),
        [None]
    );
    held.storage.commit(&other, put("key", "")).await.unwrap();
    assert!(held.storage.get(&other, vec!["key".into()]).await.unwrap()[0].is_some());
}

#[tokio::test]
async fn more_commits_than_a_group_takes_apply_in_their_order() {
    let held = Held::open().await;
    let first = held.hold_one();
    let all = 2 * GROUP + 1;
    let number = |n: usize| n.to_string().into_bytes();
    let commits = (0..all).map(|n| held.called(1, put("last", number(n))));
    let commits: Vec<_> = commits.collect();
    held.commits.release();
    first.await.unwrap();
    for commit in commits {
        commit.await.unwrap();
    }
    assert_eq!(held.commits.begun(), 4);
    let last = held.storage.get(&object(1), vec!["last".into()]).await;
    assert_eq!(last.unwrap()[0].as_deref(), Some(&number(all - 1)[..]));
}

#[tokio::test]
async fn a_call_that_nobody_polls_keeps_no_other_out() {
    let held = Held::open().await;
    let first = held.hold_one();
    let left: Vec<_> = (0..2 * GROUP)
        .map(|_| held.called(1, put("left", "")))
        .collect();
    held.commits.release();
    held.storage
        .commit(&object(2), put("key", ""))
        .await
        .unwrap();
    assert_eq!(keys(&held.storage, 2).await, ["key"]);
    drop((first, left));
}

#[tokio::test]
async fn a_large_batch_ends_its_group() {
    let held = Held::open().await;
    let first = held.hold_one();
    let large: Vec<_> = (1..=3)
        .map(|n| held.called(n, put("key", vec![n; GROUP_BYTES])))
        .collect();
    held.commits.release();
    first.await.unwrap();
    for commit in large {
        commit.await.unwrap();
    }
    assert_eq!(held.commits.begun(), 4);
}

#[tokio::test]
async fn what_has_begun_is_committed_when_it_is_dropped() {
    let held = Held::open().await;
    // It has begun, and nobody waits for it; the others have not.
    drop(held.hold_one());
    for n in 1..=50 {
        drop(held.called(n, put("key", vec![n; 5000])));
    }
    held.commits.release();
    let Held {
        storage, directory, ..
    } = held;
    drop(storage);
    assert!(!directory.path().join("objects.db-wal").exists());
    let storage = SqliteStorage::open(directory.path()).unwrap();
    assert_eq!(keys(&storage, 0).await, ["first", "held"]);
    for n in 1..=50 {
        assert!(keys(&storage, n).await.is_empty());
    }
}
