//! What a batch does to one object, and what is read of it then.

use super::{Shared, alarm, all, at, clear, delete, entries, get, key, object, put};
use crate::storage::{AlarmChange, Batch};

pub(super) async fn nothing_is_there_at_first(storage: Shared) {
    let object = object(1);
    assert_eq!(get(&storage, &object, "key").await, None);
    assert_eq!(storage.get(&object, vec![]).await.unwrap(), []);
    assert_eq!(all(&storage, &object).await, []);
    assert_eq!(storage.alarm(&object).await.unwrap(), None);
    assert_eq!(storage.alarms(10).await.unwrap(), []);
}

pub(super) async fn what_was_written_is_read(storage: Shared) {
    let object = object(1);
    let batch = put([("b", "2"), ("a", "1"), ("c", "3")]);
    storage.commit(&object, batch).await.unwrap();
    // In the order of the keys that are asked for, each as often as it is asked for.
    let asked = ["c", "no", "a", "c", ""].map(key).to_vec();
    let [three, one] = ["3", "1"].map(|value| Some(key(value)));
    let values = storage.get(&object, asked).await.unwrap();
    assert_eq!(values, [three.clone(), None, one, three, None]);
    let wanted = entries([("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(all(&storage, &object).await, wanted);
}

pub(super) async fn keys_and_values_are_any_bytes(storage: Shared) {
    let object = object(1);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let every: Vec<u8> = (0..=255).collect();
    let written = [
        (vec![], vec![]),
        (vec![0], vec![0, 0]),
        (vec![0, 0], b"text".to_vec()),
        (b"'; --\n%_".to_vec(), vec![0xff; 70_000]),
        (vec![0x80, 0xc3], every.clone()),
        (every, vec![]),
        (vec![b'k'; 2048], large),
        (vec![0xff], vec![0xfe]),
        (vec![0xff; 300], vec![1]),
    ];
    let mut wanted = entries(written.clone());
    wanted.sort();
    storage.commit(&object, put(written)).await.unwrap();
    assert!(all(&storage, &object).await == wanted);
    for (name, value) in wanted {
        assert!(
            get(&storage, &object, &name).await == Some(value),
            "{name:?}"
        );
    }
}

pub(super) async fn writes_replace_and_delete(storage: Shared) {
    let object = object(1);
    storage
        .commit(&object, put([("a", "1"), ("b", "1")]))
        .await
        .unwrap();
    storage
        .commit(&object, put([("a", ""), ("c", "1")]))
        .await
        .unwrap();
    let wanted = entries([("a", ""), ("b", "1"), ("c", "1")]);
    assert_eq!(all(&storage, &object).await, wanted);

    let mut batch = put([("a", "2")]);
    batch.merge(delete("b"));
    batch.merge(delete("never there"));
    storage.commit(&object, batch).await.unwrap();
    assert_eq!(
        all(&storage, &object).await,
        entries([("a", "2"), ("c", "1")])
    );
    assert_eq!(get(&storage, &object, "b").await, None);
    storage.commit(&object, delete("a")).await.unwrap();
    storage.commit(&object, delete("c")).await.unwrap();
    assert_eq!(all(&storage, &object).await, []);
}

pub(super) async fn a_clear_goes_first_and_leaves_the_alarm(storage: Shared) {
    let object = object(1);
    // Where nothing is it does nothing.
    storage.commit(&object, clear()).await.unwrap();
    let mut batch = put([("a", "1"), ("b", "1")]);
    batch.alarm = Some(AlarmChange::Set(at(5)));
    storage.commit(&object, batch).await.unwrap();

    let mut batch = put([("b", "2"), ("c", "2")]);
    batch.clear = true;
    storage.commit(&object, batch).await.unwrap();
    assert_eq!(
        all(&storage, &object).await,
        entries([("b", "2"), ("c", "2")])
    );
    assert_eq!(storage.alarm(&object).await.unwrap(), Some(at(5)));

    storage.commit(&object, clear()).await.unwrap();
    assert_eq!(all(&storage, &object).await, []);
    assert_eq!(storage.alarm(&object).await.unwrap(), Some(at(5)));
    assert_eq!(storage.alarms(9).await.unwrap(), [(object, at(5))]);
}

/// Every pair of these, one after the other and as one batch.
pub(super) async fn merged_batches_do_what_they_did_apart(storage: Shared) {
    let mut cleared = put([("b", "new")]);
    cleared.clear = true;
    let mut with_alarm = delete("a");
    with_alarm.alarm = Some(AlarmChange::Delete);
    let batches = [
        Batch::default(),
        put([("a", "new"), ("c", "new")]),
        delete("a"),
        clear(),
        cleared,
        with_alarm,
        alarm(AlarmChange::Set(at(2))),
    ];
    let mut before = put([("a", "old"), ("b", "old")]);
    before.alarm = Some(AlarmChange::Set(at(1)));
    let (apart, merged) = (object(1), object(2));
    for first in &batches {
        for second in &batches {
            for object in [&apart, &merged] {
                storage.commit(object, clear()).await.unwrap();
                storage.commit(object, before.clone()).await.unwrap();
            }
            storage.commit(&apart, first.clone()).await.unwrap();
            storage.commit(&apart, second.clone()).await.unwrap();
            let mut both = first.clone();
            both.merge(second.clone());
            storage.commit(&merged, both).await.unwrap();

            let differ = format!("{first:?} and then {second:?}");
            let (one, other) = (all(&storage, &apart).await, all(&storage, &merged).await);
            assert_eq!(one, other, "{differ}");
            let one = storage.alarm(&apart).await.unwrap();
            assert_eq!(one, storage.alarm(&merged).await.unwrap(), "{differ}");
        }
    }
}

pub(super) async fn a_batch_may_be_large(storage: Shared) {
    let object = object(1);
    let names = (0..5000_u32).map(|n| format!("{n:05}"));
    let batch = put(names.clone().map(|name| (name.clone(), name.repeat(20))));
    storage.commit(&object, batch).await.unwrap();
    let all = all(&storage, &object).await;
    assert!(all == entries(names.clone().map(|name| (name.clone(), name.repeat(20)))));
    let values = storage
        .get(&object, names.clone().map(key).collect())
        .await
        .unwrap();
    let wanted: Vec<_> = names.map(|name| Some(key(name.repeat(20)))).collect();
    assert!(values == wanted);
}

pub(super) async fn an_empty_batch_does_nothing(storage: Shared) {
    let object = object(1);
    storage.commit(&object, Batch::default()).await.unwrap();
    assert_eq!(all(&storage, &object).await, []);
    storage.commit(&object, put([("a", "1")])).await.unwrap();
    storage.commit(&object, Batch::default()).await.unwrap();
    assert_eq!(all(&storage, &object).await, entries([("a", "1")]));
}
