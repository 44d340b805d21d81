//! Many calls at once, from many threads, and calls that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    Shared, alarm, all, at, called, delete, elsewhere, entries, get, key, object, poll_once, put,
};
use crate::storage::{AlarmChange, Batch, Commit};

/// So many that they are more than a queue holds.
const MANY: u32 = 3000;

/// Each takes away what the one before it wrote.
pub(super) async fn commits_apply_in_the_order_of_calls(storage: Shared) {
    let objects = [object(1), object(2)];
    let mut commits = Vec::new();
    for n in 0..MANY {
        for object in &objects {
            let mut batch = put([(n.to_string(), "")]);
            if n > 0 {
                batch.merge(delete((n - 1).to_string()));
            }
            commits.push(called(storage.commit(object, batch)));
        }
    }
    for commit in commits {
        commit.await.unwrap();
    }
    for object in &objects {
        let last = entries([((MANY - 1).to_string(), "")]);
        assert_eq!(all(&storage, object).await, last);
    }
}

pub(super) async fn what_a_commit_stored_is_seen_at_once(storage: Shared) {
    let object = object(1);
    for n in 0..100_u32 {
        let mut batch = put([("n", n.to_string())]);
        batch.alarm = Some(AlarmChange::Set(at(n.into())));
        storage.commit(&object, batch).await.unwrap();
        assert_eq!(get(&storage, &object, "n").await.unwrap(), n.to_string());
        assert_eq!(storage.alarm(&object).await.unwrap(), Some(at(n.into())));
        let (storage, object) = (Arc::clone(&storage), object.clone());
        let elsewhere = elsewhere(move || async move {
            let entries = all(&storage, &object).await;
            (entries, storage.alarms(1).await.unwrap())
        });
        let (seen, alarms) = elsewhere.await;
        assert_eq!(seen, entries([("n", n.to_string())]));
        assert_eq!(alarms[0].1, at(n.into()));
    }
}

/// Two for one object apply in their order.
pub(super) async fn commits_of_many_objects_may_be_called_as_one(storage: Shared) {
    assert_eq!(storage.commit_all(Vec::new()).await.len(), 0);
    let commit = |n: u32, value: &str| Commit {
        object: object(n),
        batch: Arc::new(put([("n", value)])),
    };
    let mut commits: Vec<_> = (0..MANY).map(|n| commit(n, "first")).collect();
    commits.push(commit(1, "second"));
    let empty = Arc::new(Batch::default());
    commits.push(Commit {
        object: object(2),
        batch: empty,
    });
    let committed = storage.commit_all(commits).await;
    assert_eq!(committed.len(), MANY as usize + 2);
    committed.into_iter().for_each(|result| result.unwrap());
    for n in 0..MANY {
        let value = get(&storage, &object(n), "n").await.unwrap();
        assert_eq!(value, if n == 1 { "second" } else { "first" }, "{n}");
    }
}

/// Two keys that always change together, also when they come and go.
pub(super) async fn nothing_is_seen_in_part(storage: Shared) {
    let object = object(1);
    let done = Arc::new(AtomicBool::new(false));
    let read = {
        let (storage, object, done) = (Arc::clone(&storage), object.clone(), Arc::clone(&done));
        elsewhere(move || async move {
            while !done.load(Ordering::Acquire) {
                let both = ["one", "two"].map(key).to_vec();
                let values = storage.get(&object, both).await.unwrap();
                assert_eq!(values[0], values[1]);
                let entries = all(&storage, &object).await;
                assert!(matches!(&entries[..], [] | [_, _]), "{entries:?}");
                assert!(entries.iter().all(|(_, value)| *value == entries[0].1));
            }
        })
    };
    for n in 0..300 {
        let mut batch = put([("one", n.to_string()), ("two", n.to_string())]);
        match n % 3 {
            0 => batch.clear = true,
            1 => batch.writes.values_mut().for_each(|value| *value = None),
            _ => {}
        }
        storage.commit(&object, batch).await.unwrap();
    }
    done.store(true, Ordering::Release);
    read.await;
}

pub(super) async fn many_objects_commit_at_once(storage: Shared) {
    let objects: Vec<_> = (0..MANY).map(object).collect();
    let mut commits = Vec::new();
    for object in &objects {
        let mut batch = put([("id", object.to_string())]);
        batch.alarm = Some(AlarmChange::Set(at(1)));
        commits.push(called(storage.commit(object, batch)));
    }
    for commit in commits {
        commit.await.unwrap();
    }
    for object in &objects {
        assert_eq!(
            get(&storage, object, "id").await.unwrap(),
            object.to_string()
        );
    }
    assert_eq!(
        storage.alarms(usize::MAX).await.unwrap().len(),
        objects.len()
    );
}

pub(super) async fn any_thread_and_runtime_may_call(storage: Shared) {
    let work = |thread: u32| {
        let storage = Arc::clone(&storage);
        elsewhere(move || async move {
            for n in 0..50_u32 {
                let own = object(thread);
                storage
                    .commit(&own, put([("n", n.to_string())]))
                    .await
                    .unwrap();
                assert_eq!(get(&storage, &own, "n").await.unwrap(), n.to_string());
                let shared = put([(format!("{thread} {n}"), "")]);
                storage.commit(&object(99), shared).await.unwrap();
            }
        })
    };
    let threads: Vec<_> = (0..8).map(work).collect();
    for thread in threads {
        thread.await;
    }
    assert_eq!(all(&storage, &object(99)).await.len(), 8 * 50);
}

pub(super) async fn a_dropped_commit_happens_as_a_whole_or_not(storage: Shared) {
    for n in 0..MANY {
        let object = object(n % 100);
        let mut batch = put([("one", n.to_string()), ("two", n.to_string())]);
        batch.alarm = Some(AlarmChange::Set(at(n.into())));
        let mut commit = storage.commit(&object, batch);
        let _ = poll_once(&mut commit);
        drop(commit);
        // One that nobody called does not happen.
        drop(storage.commit(&object, put([("three", "")])));
    }
    for n in 0..100 {
        // What is called later applies later.
        let before = put([("done", "")]);
        storage.commit(&object(n), before).await.unwrap();
        let entries = all(&storage, &object(n)).await;
        let alarm = storage.alarm(&object(n)).await.unwrap();
        if let [_, (one, value), (two, same)] = &entries[..] {
            assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
            assert_eq!(value, same);
            let alarm = alarm.unwrap().at.to_string();
            assert_eq!(*value, alarm);
        } else {
            assert_eq!(entries.len(), 1, "{entries:?}");
            assert_eq!(alarm, None);
        }
    }
}

pub(super) async fn dropped_reads_do_no_harm(storage: Shared) {
    let object = object(1);
    storage.commit(&object, put([("key", "1")])).await.unwrap();
    for _ in 0..MANY {
        let _ = poll_once(&mut storage.get(&object, vec![key("key")]));
        let _ = poll_once(&mut storage.alarms(1));
    }
    assert_eq!(get(&storage, &object, "key").await.unwrap(), "1");
    storage
        .commit(&object, alarm(AlarmChange::Set(at(1))))
        .await
        .unwrap();
    storage.commit(&object, Batch::default()).await.unwrap();
    assert_eq!(storage.alarms(9).await.unwrap(), [(object, at(1))]);
}
