//! An object's keys and values as its code sees them: with what its own events have
//! written and is not durable yet.
//! Does not store anything: what is written becomes part of the event's commit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::alarm;
use super::core::Core;
use super::event::Event;
use super::gate::Found;
use super::list::ListOptions;
use super::sql::Sql;
use crate::error::{Error, Result};
use crate::storage::{Alarm, AlarmChange, Batch, Key, Range, SqlRows, SqlValue};

/// An object's storage: keys in the order of their bytes, with values of any type
/// that serde knows, or bytes.
///
/// Reads see what this event has written. Writes never wait: they are part of the
/// event's commit, all of them or none.
///
/// Values are encoded as MessagePack, structs as maps with their fields' names (what
/// `rmp_serde::to_vec_named` writes): a struct may get new fields that have
/// `#[serde(default)]`. The encoding does not change from version to version.
/// Limits: keys of `max_key` bytes (2 KiB), values of `max_value` (2 MiB).
pub struct ObjectStorage {
    core: Arc<Core>,
}

impl ObjectStorage {
    pub(super) fn of(core: &Arc<Core>) -> Self {
        Self { core: core.clone() }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// It is of another type; or the storage fails.
    pub async fn get<V: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<V>> {
        let key = self.key(key)?;
        let value = self.read(&key).await?;
        let decoded = value.map(|value| decode(&value)).transpose();
        decoded.map_err(|error| at_key(&key, &error))
    }

    /// The bytes of a key's value.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn get_bytes(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.read(&self.key(key)?).await
    }

    /// The values of many keys, in their order, read at once.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn get_many<V, I>(&self, keys: I) -> Result<Vec<Option<V>>>
    where
        V: DeserializeOwned,
        I: IntoIterator<Item: AsRef<[u8]>>,
    {
        let keys: Vec<_> = keys
            .into_iter()
            .map(|key| self.key(key))
            .collect::<Result<_>>()?;
        let values = self.read_many(&keys).await?;
        let pairs = keys.iter().zip(values);
        pairs
            .map(|(key, value)| {
                let decoded = value.map(|value| decode(&value)).transpose();
                decoded.map_err(|error| at_key(key, &error))
            })
            .collect()
    }

    /// Writes a value.
    ///
    /// # Errors
    /// It cannot be encoded, or it or the key is too large; or this is outside any
    /// event of the object.
    pub fn put<V: Serialize + ?Sized>(&self, key: impl AsRef<[u8]>, value: &V) -> Result<()> {
        self.put_bytes(key, encode(value)?)
    }

    /// Writes bytes, as they are.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_bytes(&self, key: impl AsRef<[u8]>, value: impl Into<Bytes>) -> Result<()> {
        let (key, value) = self.pair(key, value.into())?;
        self.write([(key, Some(value))])
    }

    /// Writes many values, or none of them.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_many<K, V, I>(&self, pairs: I) -> Result<()>
    where
        K: AsRef<[u8]>,
        V: Serialize,
        I: IntoIterator<Item = (K, V)>,
    {
        let pairs = pairs.into_iter().map(|(key, value)| {
            let (key, value) = self.pair(key, encode(&value)?)?;
            Ok((key, Some(value)))
        });
        self.write(pairs.collect::<Result<Vec<_>>>()?)
    }

    /// Takes a key away, if it is there.
    ///
    /// # Errors
    /// The key is too large; or this is outside any event of the object.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.write([(self.key(key)?, None)])
    }

    /// Takes many keys away, or none of them.
    ///
    /// # Errors
    /// As for [`delete`](Self::delete).
    pub fn delete_many(&self, keys: impl IntoIterator<Item: AsRef<[u8]>>) -> Result<()> {
        let keys = keys.into_iter().map(|key| Ok((self.key(key)?, None)));
        self.write(keys.collect::<Result<Vec<_>>>()?)
    }

    /// Takes every key away, and every table that SQL has made. The alarm stays.
    ///
    /// # Errors
    /// This is outside any event of the object.
    pub fn delete_all(&self) -> Result<()> {
        Event::inside(&self.core, |event| {
            self.core.store.clear_tables();
            event.done.batch.merge(Batch {
                clear: true,
                ..Batch::default()
            });
            Ok(())
        })
    }

    /// Some keys and their values, in the order of the keys' bytes.
    ///
    /// # Errors
    /// A value is of another type; the options contradict each other; or the storage
    /// fails.
    pub async fn list<V: DeserializeOwned>(&self, options: ListOptions) -> Result<Vec<(Key, V)>> {
        let found = self.list_bytes(options).await?;
        let decoded = found.into_iter().map(|(key, value)| {
            let value = decode(&value).map_err(|error| at_key(&key, &error))?;
            Ok((key, value))
        });
        decoded.collect()
    }

    /// Some keys and the bytes of their values.
    ///
    /// # Errors
    /// The options contradict each other; or the storage fails.
    pub async fn list_bytes(&self, options: ListOptions) -> Result<Vec<(Key, Bytes)>> {
        let range = options.range()?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let pending = self.core.unsettled();
        let bounds = (range.start.clone(), range.end.clone());
        let written: Vec<_> = pending.writes.range(bounds).collect();
        let mut found = BTreeMap::new();
        if !pending.clear {
            let deleted = written.iter().filter(|(_, value)| value.is_none()).count();
            let stored = Range {
                limit: range.limit.saturating_add(deleted),
                ..range.clone()
            };
            found.extend(self.core.store.list(stored).await?);
        }
        for (key, value) in written {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(if range.reverse {
            found.into_iter().rev().take(range.limit).collect()
        } else {
            found.into_iter().take(range.limit).collect()
        })
    }

    /// Waits until what the object's earlier events wrote is durable.
    ///
    /// # Errors
    /// A commit failed, and this event is going to be undone with it.
    pub async fn sync(&self) -> Result<()> {
        Event::settle(&self.core).await
    }

    /// When the object's alarm is due, if it has one.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn alarm(&self) -> Result<Option<SystemTime>> {
        let alarm = alarm::of(&self.core).await?;
        Ok(alarm.map(|alarm| UNIX_EPOCH + Duration::from_millis(alarm.at)))
    }

    /// Sets the alarm, over an earlier one: [`alarm`](super::DurableObject::alarm) is
    /// called then, or at once if that is past. To the millisecond.
    ///
    /// # Errors
    /// This is outside any event of the object.
    pub fn set_alarm(&self, at: SystemTime) -> Result<()> {
        self.change_alarm(AlarmChange::Set(Alarm {
            at: alarm::millis(at),
            retries: 0,
        }))
    }

    /// Sets the alarm so long from now.
    ///
    /// # Errors
    /// As for [`set_alarm`](Self::set_alarm).
    pub fn set_alarm_after(&self, time: Duration) -> Result<()> {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.change_alarm(AlarmChange::Set(Alarm {
            at: self.core.shared.unix_now().saturating_add(millis),
            retries: 0,
        }))
    }

    /// Takes the alarm away, if there is one.
    ///
    /// # Errors
    /// This is outside any event of the object.
    pub fn delete_alarm(&self) -> Result<()> {
        self.change_alarm(AlarmChange::Delete)
    }

    fn change_alarm(&self, change: AlarmChange) -> Result<()> {
        Event::inside(&self.core, |event| {
            event.done.batch.alarm = Some(change);
            Ok(())
        })
    }

    /// SQL, in a database of the object's own.
    ///
    /// # Errors
    /// [`is_config`](Error::is_config): the class has not asked for it, by
    /// `#[durable_object(sql)]`. Or this is outside any event of the object.
    pub fn sql(&self) -> Result<Sql<'_>> {
        self.core.store.check_sql()?;
        self.in_event()?;
        Ok(Sql::of(self))
    }

    pub(super) async fn query(
        &self,
        sql: &str,
        params: Vec<SqlValue>,
        max_bytes: usize,
    ) -> Result<SqlRows> {
        self.in_event()?;
        self.core.store.query(sql, params, max_bytes).await
    }

    pub(super) async fn database_size(&self) -> Result<u64> {
        self.core.store.size().await
    }

    fn in_event(&self) -> Result<()> {
        match Event::current(&*self.core, |event| event.is_some()) {
            true => Ok(()),
            false => Err(Error::new(
                "SQL runs only inside one of the object's events",
            )),
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        if let Found::Value(value) = self.core.find(key) {
            return Ok(value);
        }
        let mut values = self.read_many(std::slice::from_ref(key)).await?;
        Ok(values.pop().flatten())
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        let age = self.core.cache().age();
        let mut values = Vec::with_capacity(keys.len());
        let mut unknown = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            match self.core.find(key) {
                Found::Value(value) => values.push(value),
                Found::Unknown => {
                    values.push(None);
                    unknown.push(at);
                }
            }
        }
        if unknown.is_empty() {
            return Ok(values);
        }
        let wanted = unknown.iter().map(|at| keys[*at].clone()).collect();
        let read = self.core.store.get(wanted).await?;
        let mut cache = self.core.cache();
        for (at, value) in unknown.into_iter().zip(read) {
            cache.read(age, keys[at].clone(), value.clone());
            values[at] = value;
        }
        Ok(values)
    }

    /// A key that may be one.
    fn key(&self, key: impl AsRef<[u8]>) -> Result<Key> {
        let key = key.as_ref();
        let most = self.core.options.max_key;
        match key.len() {
            0 => Err(Error::invalid("a key has at least one byte, got none")),
            seen if seen > most => Err(Error::invalid(format!(
                "a key has at most {most} bytes, got {seen}"
            ))),
            _ => Ok(Key::copy_from_slice(key)),
        }
    }

    fn pair(&self, key: impl AsRef<[u8]>, value: Bytes) -> Result<(Key, Bytes)> {
        let key = self.key(key)?;
        let (most, seen) = (self.core.options.max_value, value.len());
        if seen > most {
            let message = format!("a value has at most {most} bytes, got {seen}");
            return Err(at_key(&key, &Error::invalid(message)));
        }
        Ok((key, value))
    }

    fn write(&self, writes: impl IntoIterator<Item = (Key, Option<Bytes>)>) -> Result<()> {
        Event::inside(&self.core, |event| {
            event.done.batch.writes.extend(writes);
            Ok(())
        })
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStorage({})", self.core.key)
    }
}

/// As values are stored.
pub(super) fn encode<V: Serialize + ?Sized>(value: &V) -> Result<Bytes> {
    let encoded = rmp_serde::to_vec_named(value);
    let encoded = encoded.map_err(|e| Error::invalid(format!("cannot encode the value: {e}")))?;
    Ok(encoded.into())
}

pub(super) fn decode<V: DeserializeOwned>(value: &[u8]) -> Result<V> {
    rmp_serde::from_slice(value).map_err(|e| {
        let wanted = std::any::type_name::<V>();
        Error::invalid(format!("the value is no {wanted}: {e}"))
    })
}

fn at_key(key: &Key, error: &Error) -> Error {
    Error::invalid(format!("key '{}': {error}", key.escape_ascii()))
}
