//! State that lasts as long as the process: for tests, and for objects that may
//! forget.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::sqlite::own::{Own, Session};
use super::{Alarm, AlarmChange, Batch, Key, ObjectDatabase, ObjectKey, Range, Storage};
use crate::error::Result;

/// Keeps everything in memory. A commit is "durable" at once. SQL runs on the caller's
/// thread, so that paused time does not pass meanwhile.
#[derive(Default)]
pub struct MemoryStorage(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    objects: HashMap<ObjectKey, Object>,
    /// The alarms in their order.
    due: BTreeSet<(u64, ObjectKey)>,
    databases: HashMap<ObjectKey, Arc<tokio::sync::Mutex<Session>>>,
}

#[derive(Default)]
struct Object {
    keys: BTreeMap<Key, Bytes>,
    alarm: Option<Alarm>,
}

impl MemoryStorage {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        let contents = self.contents();
        let object = contents.objects.get(object);
        let values = keys.iter().map(|key| object?.keys.get(key).cloned());
        Ok(values.collect())
    }

    async fn list(&self, object: &ObjectKey, range: Range) -> Result<Vec<(Key, Bytes)>> {
        let contents = self.contents();
        let Some(object) = contents.objects.get(object).filter(|_| !range.is_empty()) else {
            return Ok(Vec::new());
        };
        let found = object.keys.range((range.start, range.end));
        let owned = |(key, value): (&Key, &Bytes)| (key.clone(), value.clone());
        Ok(if range.reverse {
            found.rev().take(range.limit).map(owned).collect()
        } else {
            found.take(range.limit).map(owned).collect()
        })
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        let contents = self.contents();
        Ok(contents.objects.get(object).and_then(|object| object.alarm))
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        let contents = self.contents();
        let first = contents.due.iter().take(limit);
        let with_alarm = first.filter_map(|(_, object)| {
            let alarm = contents.objects.get(object)?.alarm?;
            Some((object.clone(), alarm))
        });
        Ok(with_alarm.collect())
    }

    async fn commit(&self, key: &ObjectKey, batch: Batch) -> Result<()> {
        let mut contents = self.contents();
        let Contents { objects, due, .. } = &mut *contents;
        let object = objects.entry(key.clone()).or_default();
        if batch.clear {
            object.keys.clear();
        }
        for (key, value) in batch.writes {
            match value {
                Some(value) => object.keys.insert(key, value),
                None => object.keys.remove(&key),
            };
        }
        if let Some(change) = batch.alarm {
            if let Some(before) = object.alarm.take() {
                due.remove(&(before.at, key.clone()));
            }
            if let AlarmChange::Set(alarm) = change {
                object.alarm = Some(alarm);
                due.insert((alarm.at, key.clone()));
            }
        }
        if object.keys.is_empty() && object.alarm.is_none() {
            objects.remove(key);
        }
        Ok(())
    }

    fn has_sql(&self) -> bool {
        true
    }

    async fn open_database(&self, object: &ObjectKey) -> Result<Box<dyn ObjectDatabase>> {
        let known = self.contents().databases.get(object).cloned();
        let session = match known {
            Some(session) => session,
            None => {
                let session = Session::in_memory(object)?;
                let session = Arc::new(tokio::sync::Mutex::new(session));
                let mut contents = self.contents();
                contents.databases.insert(object.clone(), session.clone());
                session
            }
        };
        Ok(Box::new(Own::in_memory(session).await?))
    }

    async fn has_database(&self, object: &ObjectKey) -> Result<bool> {
        Ok(self.contents().databases.contains_key(object))
    }
}
