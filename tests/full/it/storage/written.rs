//! What the process writes that is killed, and what has to be there then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wsworker::storage::{
    Alarm, AlarmChange, Batch, Key, ObjectDatabase, ObjectKey, Range, SqlQuery, SqlValue, Storage,
};

/// Each commits for itself, the next when the last has returned.
pub const OBJECTS: u8 = 24;

/// These too, in databases of their own: numbered after those.
pub const OWNS: u8 = 4;

/// Every so many commits of an object one clears it first.
const CLEAR: u32 = 50;

pub fn object(number: u8) -> ObjectKey {
    let class = ["even", "odd"][usize::from(number % 2)].into();
    let id = [number; 32];
    ObjectKey { class, id }
}

/// The object's commit with this number, from 1.
pub fn batch(n: u32) -> Batch {
    let alarm = Alarm {
        at: n.into(),
        retries: n,
    };
    let mut writes = BTreeMap::new();
    writes.insert(numbered(n), Some(value(n)));
    writes.insert(
        "count".into(),
        Some(Bytes::copy_from_slice(&n.to_be_bytes())),
    );
    if n.is_multiple_of(7) && n % CLEAR > 1 {
        writes.insert(numbered(n - 1), None);
    }
    Batch {
        clear: n.is_multiple_of(CLEAR),
        writes,
        alarm: Some(AlarmChange::Set(alarm)),
    }
}

/// How many commits of the object are there.
pub async fn count(storage: &dyn Storage, object: &ObjectKey) -> u32 {
    let count = storage.get(object, vec!["count".into()]).await.unwrap();
    let count = count[0].as_deref().map(|count| count.try_into().unwrap());
    count.map_or(0, u32::from_be_bytes)
}

/// Checks that they are there as a whole, and nothing else.
#[allow(dead_code, reason = "for whoever looks")]
pub async fn check(storage: &dyn Storage, object: &ObjectKey) -> u32 {
    let count = count(storage, object).await;
    let mut wanted = BTreeMap::new();
    let mut alarm = None;
    for n in 1..=count {
        let batch = batch(n);
        if batch.clear {
            wanted.clear();
        }
        for (key, value) in batch.writes {
            match value {
                Some(value) => wanted.insert(key, value),
                None => wanted.remove(&key),
            };
        }
        if let Some(AlarmChange::Set(set)) = batch.alarm {
            alarm = Some(set);
        }
    }
    let all = storage.list(object, Range::ALL).await.unwrap();
    let all: BTreeMap<_, _> = all.into_iter().collect();
    assert!(all == wanted, "{object} is torn at {count}");
    assert_eq!(storage.alarm(object).await.unwrap(), alarm, "{object}");
    count
}

/// The same of one with a database of its own, which has a row for each commit.
pub async fn count_own(database: &dyn ObjectDatabase) -> u32 {
    let count = database.get(vec!["count".into()]).await.unwrap();
    let count = count[0].as_deref().map(|count| count.try_into().unwrap());
    count.map_or(0, u32::from_be_bytes)
}

/// Its rows, alarm and keys are all of one commit.
#[allow(dead_code, reason = "for whoever looks")]
pub async fn check_own(storage: &dyn Storage, object: &ObjectKey) -> u32 {
    if !storage.has_database(object).await.unwrap() {
        return 0;
    }
    let database = storage.open_database(object).await.unwrap();
    let count = count_own(&*database).await;
    if count > 0 {
        let rows = database.query(sql("SELECT count(*), max(n) FROM commits", vec![]));
        let rows = rows.await.unwrap().values;
        assert_eq!(rows, [count.into(), count.into()], "{object} is torn");
    }
    let alarm = database.alarm().await.unwrap().map_or(0, |alarm| alarm.at);
    assert_eq!(alarm, u64::from(count), "{object}");
    count
}

pub fn sql(sql: &str, params: Vec<SqlValue>) -> SqlQuery {
    SqlQuery {
        sql: sql.to_owned(),
        params,
        max_bytes: 1 << 20,
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

fn numbered(n: u32) -> Key {
    Key::from(format!("{n:08}"))
}

/// From few bytes to several pages.
fn value(n: u32) -> Bytes {
    let size = if n.is_multiple_of(13) {
        20_000
    } else {
        10 + n % 300
    };
    vec![n as u8; size as usize].into()
}
