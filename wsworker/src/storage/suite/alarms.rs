//! Alarms: one for each object, and all of them by their time.

use super::{Shared, alarm, all, at, delete, entries, object, object_of, put};
use crate::storage::{Alarm, AlarmChange};

pub(super) async fn an_alarm_is_set_replaced_and_deleted(storage: Shared) {
    let object = object(1);
    let set = |at, retries| alarm(AlarmChange::Set(Alarm { at, retries }));
    // Where none is that does nothing.
    storage
        .commit(&object, alarm(AlarmChange::Delete))
        .await
        .unwrap();
    for (at, retries) in [(5, 0), (5, 1), (3, u32::MAX), (9, 0)] {
        storage.commit(&object, set(at, retries)).await.unwrap();
        let wanted = Alarm { at, retries };
        assert_eq!(storage.alarm(&object).await.unwrap(), Some(wanted));
        let wanted = [(object.clone(), wanted)];
        assert_eq!(storage.alarms(9).await.unwrap(), wanted);
    }
    // Other batches leave it.
    storage.commit(&object, put([("key", "1")])).await.unwrap();
    storage.commit(&object, delete("key")).await.unwrap();
    assert_eq!(storage.alarm(&object).await.unwrap(), Some(at(9)));

    let mut batch = put([("key", "2")]);
    batch.alarm = Some(AlarmChange::Delete);
    storage.commit(&object, batch).await.unwrap();
    assert_eq!(storage.alarm(&object).await.unwrap(), None);
    assert_eq!(storage.alarms(9).await.unwrap(), []);
    assert_eq!(all(&storage, &object).await, entries([("key", "2")]));
}

pub(super) async fn classes_with_alarms_are_known(storage: Shared) {
    let known = async || {
        let mut classes = storage.alarm_classes().await.unwrap();
        classes.sort();
        classes
    };
    assert!(known().await.is_empty());
    // A class without alarms is none of them.
    let stored = put([("key", "1")]);
    storage.commit(&object_of("c", 1), stored).await.unwrap();
    for (class, id) in [("b", 1), ("a", 2), ("b", 3)] {
        let set = alarm(AlarmChange::Set(at(id.into())));
        storage.commit(&object_of(class, id), set).await.unwrap();
    }
    assert_eq!(known().await, ["a".into(), "b".into()]);
    for id in [1, 3] {
        let deleted = alarm(AlarmChange::Delete);
        storage.commit(&object_of("b", id), deleted).await.unwrap();
    }
    assert_eq!(known().await, ["a".into()]);
}

pub(super) async fn alarms_come_by_their_time(storage: Shared) {
    let times = [50_u32, 10, 40, 20, 30, 300, 256, 255];
    for time in times {
        // The class has no part in the order.
        let object = object_of(if time % 20 == 0 { "a" } else { "b" }, time);
        let batch = alarm(AlarmChange::Set(at(u64::from(time))));
        storage.commit(&object, batch).await.unwrap();
    }
    let first = async |limit| {
        let alarms = storage.alarms(limit).await.unwrap();
        let times = alarms.into_iter().map(|(object, alarm)| {
            assert_eq!(object.id[..2], (alarm.at as u16).to_le_bytes());
            alarm.at
        });
        times.collect::<Vec<_>>()
    };
    let all = [10, 20, 30, 40, 50, 255, 256, 300];
    for limit in 0..=all.len() {
        assert_eq!(first(limit).await, all[..limit]);
    }
    assert_eq!(first(100).await, all);
    assert_eq!(first(usize::MAX).await, all);

    // One that is set anew comes where it belongs; one that is deleted does not come.
    let moved = alarm(AlarmChange::Set(at(65536 + 10)));
    storage.commit(&object_of("b", 10), moved).await.unwrap();
    let deleted = alarm(AlarmChange::Delete);
    storage.commit(&object_of("a", 20), deleted).await.unwrap();
    assert_eq!(first(100).await, [30, 40, 50, 255, 256, 300, 65546]);
}

pub(super) async fn any_time_may_be_set(storage: Shared) {
    let times = [
        0,
        1,
        1_790_000_000_000,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX - 1,
        u64::MAX,
    ];
    let numbered: Vec<_> = (0..).zip(times).collect();
    for (number, time) in numbered.into_iter().rev() {
        let batch = alarm(AlarmChange::Set(at(time)));
        storage.commit(&object(number), batch).await.unwrap();
    }
    let found = storage.alarms(100).await.unwrap();
    let wanted = (0..)
        .zip(times)
        .map(|(number, time)| (object(number), at(time)));
    assert_eq!(found, wanted.collect::<Vec<_>>());
}

pub(super) async fn alarms_at_one_time_all_come(storage: Shared) {
    for number in 0..100 {
        let batch = alarm(AlarmChange::Set(at(7)));
        storage.commit(&object(number), batch).await.unwrap();
    }
    storage
        .commit(&object(100), alarm(AlarmChange::Set(at(6))))
        .await
        .unwrap();
    let found = storage.alarms(200).await.unwrap();
    assert_eq!(found[0], (object(100), at(6)));
    let mut found: Vec<_> = found
        .into_iter()
        .skip(1)
        .map(|(object, _)| object)
        .collect();
    found.sort();
    let mut wanted: Vec<_> = (0..100).map(object).collect();
    wanted.sort();
    assert_eq!(found, wanted);
    assert_eq!(storage.alarms(50).await.unwrap().len(), 50);
}
