//! What is there again when a storage is opened again.

use super::{alarm, all, at, clear, delete, entries, get, object, object_of, poll_once, put};
use crate::storage::{Alarm, AlarmChange, Storage};

pub(super) async fn everything_is_there_again<P, S: Storage>(
    (place, open): (&P, &impl AsyncFn(&P) -> S),
) {
    let storage = open(place).await;
    let large = vec![0xfe; 300_000];
    let late = Alarm {
        at: u64::MAX,
        retries: 3,
    };
    for number in 0..100 {
        let value = number.to_string();
        let mut batch = put([(&b""[..], &value[..]), (b"\0\xff", "x")]);
        batch.alarm = Some(AlarmChange::Set(at(number.into())));
        storage.commit(&object(number), batch).await.unwrap();
    }
    let other = object_of("other", 1);
    storage
        .commit(&other, put([("large", &large)]))
        .await
        .unwrap();
    storage
        .commit(&other, alarm(AlarmChange::Set(late)))
        .await
        .unwrap();
    drop(storage);

    // Opening it twice changes nothing.
    drop(open(place).await);
    let storage = open(place).await;
    for number in 0..100 {
        let value = number.to_string();
        let wanted = entries([(&b""[..], &value[..]), (b"\0\xff", "x")]);
        assert_eq!(all(&storage, &object(number)).await, wanted);
        let wanted = Some(at(number.into()));
        assert_eq!(storage.alarm(&object(number)).await.unwrap(), wanted);
    }
    assert!(all(&storage, &other).await == entries([("large", &large)]));
    let alarms = storage.alarms(1000).await.unwrap();
    let wanted = (0..100).map(|number| (object(number), at(number.into())));
    assert_eq!(alarms, wanted.chain([(other, late)]).collect::<Vec<_>>());
}

pub(super) async fn what_is_gone_stays_gone<P, S: Storage>(
    (place, open): (&P, &impl AsyncFn(&P) -> S),
) {
    let object = object(1);
    let storage = open(place).await;
    let mut batch = put([("a", "1"), ("b", "1")]);
    batch.alarm = Some(AlarmChange::Set(at(1)));
    storage.commit(&object, batch).await.unwrap();
    storage.commit(&object, delete("a")).await.unwrap();
    drop(storage);

    let storage = open(place).await;
    assert_eq!(all(&storage, &object).await, entries([("b", "1")]));
    let mut batch = clear();
    batch.alarm = Some(AlarmChange::Delete);
    storage.commit(&object, batch).await.unwrap();
    drop(storage);

    let storage = open(place).await;
    assert_eq!(all(&storage, &object).await, []);
    assert_eq!(storage.alarm(&object).await.unwrap(), None);
    assert_eq!(storage.alarms(1).await.unwrap(), []);
}

pub(super) async fn later_commits_go_on_from_there<P, S: Storage>(
    (place, open): (&P, &impl AsyncFn(&P) -> S),
) {
    for round in 0..5_u32 {
        let storage = open(place).await;
        for class in ["a", "b"] {
            let object = object_of(class, 1);
            assert_eq!(all(&storage, &object).await.len(), round as usize);
            let batch = put([(round.to_string(), class)]);
            storage.commit(&object, batch).await.unwrap();
        }
        // A class that is new each time.
        let object = object_of(&format!("class {round}"), 1);
        storage.commit(&object, put([("key", "")])).await.unwrap();
    }
    let storage = open(place).await;
    for round in 0..5 {
        let object = object_of(&format!("class {round}"), 1);
        assert!(get(&storage, &object, "key").await.is_some());
    }
}

pub(super) async fn a_dropped_commit_is_whole_or_not_there<P, S: Storage>(
    (place, open): (&P, &impl AsyncFn(&P) -> S),
) {
    let storage = open(place).await;
    for number in 0..200 {
        let batch = put([("one", "1"), ("two", "1")]);
        let _ = poll_once(&mut storage.commit(&object(number), batch));
    }
    drop(storage);
    let storage = open(place).await;
    for number in 0..200 {
        let found = all(&storage, &object(number)).await.len();
        assert!(found == 0 || found == 2, "{found} of 2");
    }
}
