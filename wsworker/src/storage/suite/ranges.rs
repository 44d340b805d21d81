//! Parts of an object's keys.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::{Shared, all, key, object, put};
use crate::storage::{Key, Range};

/// At the edges of what bytes can be.
const KEYS: [&[u8]; 8] = [
    b"",
    b"\0",
    b"\0\xff",
    b"a",
    b"a\0",
    b"ab",
    b"\xff",
    b"\xff\xff",
];

/// No keys, and bounds all the same.
const BETWEEN: [&[u8]; 3] = [b"\0\0", b"a\xff", b"\xff\xff\xff"];

/// Every pair of bounds, in both directions, with and without a limit.
pub(super) async fn every_range_is_what_it_says(storage: Shared) {
    let object = object(2);
    let batch = put(KEYS.map(|name| (name, name)));
    storage.commit(&object, batch).await.unwrap();
    let map: BTreeMap<Key, ()> = KEYS.iter().map(|name| (key(name), ())).collect();

    let keys = KEYS.iter().chain(&BETWEEN).map(key);
    let bounds = keys.flat_map(|key| [Included(key.clone()), Excluded(key)]);
    let bounds: Vec<_> = bounds.chain([Unbounded]).collect();
    for start in &bounds {
        for end in &bounds {
            for (reverse, limit) in [
                (false, usize::MAX),
                (true, usize::MAX),
                (false, 2),
                (true, 2),
            ] {
                let range = Range {
                    start: start.clone(),
                    end: end.clone(),
                    reverse,
                    limit,
                };
                let found = storage.list(&object, range.clone()).await.unwrap();
                assert!(found.iter().all(|(key, value)| key == value));
                let found: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
                assert_eq!(found, expected(&map, &range), "{range:?}");
            }
        }
    }
    for limit in 0..=KEYS.len() + 1 {
        for reverse in [false, true] {
            let range = Range {
                reverse,
                limit,
                ..Range::ALL
            };
            let found = storage.list(&object, range).await.unwrap();
            assert_eq!(found.len(), limit.min(KEYS.len()));
        }
    }
}

/// Neither the object before nor the one behind is in it.
pub(super) async fn ranges_end_at_the_object(storage: Shared) {
    for number in 1..=3 {
        let value = number.to_string();
        let batch = put(KEYS.map(|name| (name, &value)));
        storage.commit(&object(number), batch).await.unwrap();
    }
    for reverse in [false, true] {
        for (start, end) in [
            (Unbounded, Unbounded),
            (Included(key("")), Unbounded),
            (Unbounded, Included(key([0xff; 100]))),
        ] {
            let range = Range {
                start,
                end,
                reverse,
                limit: 100,
            };
            let found = storage.list(&object(2), range).await.unwrap();
            assert_eq!(found.len(), KEYS.len());
            assert!(found.iter().all(|(_, value)| value == "2"));
        }
    }
    assert_eq!(all(&storage, &object(4)).await, []);
}

pub(super) async fn a_range_may_be_long(storage: Shared) {
    let object = object(1);
    let names: Vec<_> = (0..3000_u32).map(u32::to_be_bytes).collect();
    storage
        .commit(&object, put(names.iter().map(|name| (name, name))))
        .await
        .unwrap();
    let range = Range {
        start: Excluded(key(10_u32.to_be_bytes())),
        end: Included(key(2900_u32.to_be_bytes())),
        reverse: true,
        limit: 2800,
    };
    let found = storage.list(&object, range).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
    let wanted: Vec<_> = (101..=2900_u32)
        .rev()
        .map(|n| key(n.to_be_bytes()))
        .collect();
    assert!(found == wanted);
}

/// Said once more, in other words than [`Range`]'s.
fn expected(map: &BTreeMap<Key, ()>, range: &Range) -> Vec<Key> {
    let from_start = |key: &&Key| match &range.start {
        Included(start) => *key >= start,
        Excluded(start) => *key > start,
        Unbounded => true,
    };
    let to_end = |key: &&Key| match &range.end {
        Included(end) => *key <= end,
        Excluded(end) => *key < end,
        Unbounded => true,
    };
    let mut keys: Vec<Key> = map
        .keys()
        .filter(from_start)
        .filter(to_end)
        .cloned()
        .collect();
    if range.reverse {
        keys.reverse();
    }
    keys.truncate(range.limit);
    keys
}
