//! Of several objects each has its own.

use super::{Shared, alarm, all, at, clear, entries, get, object, object_of, put};
use crate::storage::{AlarmChange, ObjectKey};

pub(super) async fn objects_are_apart(storage: Shared) {
    let mut last = object(0);
    last.id = [0xff; 32];
    let mut nearly = object(0);
    nearly.id[31] = 1;
    let objects = [object(0), object(1), nearly, last];
    for (object, value) in objects.iter().zip(["a", "b", "c", "d"]) {
        storage.commit(object, put([("key", value)])).await.unwrap();
    }
    storage
        .commit(&objects[1], put([("other", "x")]))
        .await
        .unwrap();
    for (object, value) in objects.iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(get(&storage, object, "key").await.unwrap(), value);
        let keys = if *object == objects[1] { 2 } else { 1 };
        assert_eq!(all(&storage, object).await.len(), keys);
    }
}

/// Also where one's name begins with another's.
pub(super) async fn classes_are_apart(storage: Shared) {
    let objects = classes().map(|class| object_of(class, 7));
    for object in &objects {
        let batch = put([("class", object.class.as_bytes())]);
        storage.commit(object, batch).await.unwrap();
        let at = at(object.class.len() as u64);
        storage
            .commit(object, alarm(AlarmChange::Set(at)))
            .await
            .unwrap();
    }
    for object in &objects {
        let wanted = entries([("class", object.class.as_bytes())]);
        assert_eq!(all(&storage, object).await, wanted);
        let wanted = at(object.class.len() as u64);
        assert_eq!(storage.alarm(object).await.unwrap(), Some(wanted));
    }
    let mut found: Vec<ObjectKey> = Vec::new();
    found.extend(
        storage
            .alarms(9)
            .await
            .unwrap()
            .into_iter()
            .map(|(object, _)| object),
    );
    found.sort();
    let mut wanted = objects.to_vec();
    wanted.sort();
    assert_eq!(found, wanted);
}

pub(super) async fn clearing_one_clears_no_other(storage: Shared) {
    let others = classes().map(|class| object_of(class, 7));
    for object in others.iter().chain([&object(1), &object(2), &object(3)]) {
        storage
            .commit(object, put([("", "1"), ("key", "1")]))
            .await
            .unwrap();
    }
    storage.commit(&object(2), clear()).await.unwrap();
    assert_eq!(all(&storage, &object(2)).await, []);
    for object in others.iter().chain([&object(1), &object(3)]) {
        assert_eq!(all(&storage, object).await.len(), 2, "{object}");
    }
}

fn classes() -> [&'static str; 5] {
    ["a", "ab", "b", "chambre à air", "A"]
}
