//! The storage whose faults a test chooses.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use wsworker::storage::{Batch, Fault, FaultyStorage, MemoryStorage, ObjectKey, Range, Storage};

fn object(number: u8) -> ObjectKey {
    ObjectKey {
        class: "room".into(),
        id: [number; 32],
    }
}

fn put(key: &'static str) -> Batch {
    Batch {
        writes: [(key.into(), Some(Bytes::new()))].into(),
        ..Batch::default()
    }
}

fn new() -> Arc<FaultyStorage> {
    Arc::new(FaultyStorage::new(MemoryStorage::new()))
}

async fn keys(storage: &FaultyStorage, number: u8) -> Vec<Bytes> {
    let entries = storage.list(&object(number), Range::ALL).await.unwrap();
    entries.into_iter().map(|(key, _)| key).collect()
}

#[tokio::test]
async fn the_chosen_commits_fail() {
    let storage = new();
    storage.fail(2, Fault::Before);
    storage.fail(3, Fault::After);
    storage.commit(&object(1), put("a")).await.unwrap();
    let error = storage.commit(&object(1), put("b")).await.unwrap_err();
    assert!(error.is_storage());
    assert_eq!(error.to_string(), "commit 2 fails for a test: Before");
    assert_eq!(keys(&storage, 1).await, ["a"]);
    let error = storage.commit(&object(1), put("c")).await.unwrap_err();
    assert!(error.is_storage());
    assert_eq!(keys(&storage, 1).await, ["a", "c"]);
    storage.commit(&object(1), put("d")).await.unwrap();
    assert_eq!(storage.commits(), 4);

    storage.fail(1, Fault::Before);
    assert!(storage.commit(&object(2), put("a")).await.is_err());
}

#[tokio::test]
async fn one_that_is_broken_down_answers_nothing() {
    let storage = new();
    storage.commit(&object(1), put("a")).await.unwrap();
    storage.break_down();
    assert!(
        storage
            .commit(&object(1), put("b"))
            .await
            .unwrap_err()
            .is_storage()
    );
    assert!(
        storage
            .get(&object(1), vec![])
            .await
            .unwrap_err()
            .is_storage()
    );
    assert!(storage.list(&object(1), Range::ALL).await.is_err());
    assert!(storage.alarm(&object(1)).await.is_err());
    assert!(storage.alarms(1).await.is_err());
    storage.repair();
    assert_eq!(keys(&storage, 1).await, ["a"]);
}

#[tokio::test]
async fn held_commits_wait_and_reads_do_not() {
    let storage = new();
    let (first, second) = (storage.hold(), storage.hold());
    let own = object(1);
    let mut commit = storage.commit(&own, put("a"));
    let mut poll = || {
        commit
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    };
    assert!(poll().is_pending());
    assert_eq!(storage.commits(), 1);
    assert!(keys(&storage, 1).await.is_empty());
    drop(first);
    assert!(poll().is_pending());
    drop(second);
    commit.await.unwrap();
    assert_eq!(keys(&storage, 1).await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn delays_are_of_each_object() {
    let storage = new();
    storage.delay(Duration::from_secs(1));
    let started = Instant::now();
    let (one, two) = (object(1), object(2));
    let commits = [
        storage.commit(&one, put("a")),
        storage.commit(&one, put("b")),
        storage.commit(&two, put("a")),
    ];
    let [first, second, other] = commits;
    let (first, second, other) = tokio::join!(
        async { (first.await, started.elapsed()) },
        async { (second.await, started.elapsed()) },
        async { (other.await, started.elapsed()) },
    );
    let seconds = [first, second, other].map(|(result, time)| {
        result.unwrap();
        time.as_secs()
    });
    assert_eq!(seconds, [1, 2, 1]);
}
