//! Reads, each of one moment, on threads beside the writer's.

use std::ops::Bound;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use tokio::sync::oneshot;

use super::apply::Classes;
use super::database::Place;
use super::threads::Threads;
use crate::error;
use crate::storage::{Alarm, Key, ObjectKey, Range};

const BEGIN: &str = "BEGIN";
const END: &str = "COMMIT";
const GET: &str = "SELECT value FROM entries WHERE class = ?1 AND object = ?2 AND key = ?3";
const ALARM: &str = "SELECT at, retries FROM alarms WHERE class = ?1 AND object = ?2";
const ALARM_CLASSES: &str = "SELECT name FROM classes
    WHERE EXISTS (SELECT 1 FROM alarms WHERE class = number)";
const ALARMS: &str = "SELECT at, retries, name, object FROM alarms
    CROSS JOIN classes ON number = class ORDER BY at < 0, at LIMIT ?1";
const LIST_FROM: &str = "SELECT key, value FROM entries
    WHERE class = ?1 AND object = ?2 AND key >= ?3 ORDER BY key LIMIT ?4";
const LIST_FROM_REVERSE: &str = "SELECT key, value FROM entries
    WHERE class = ?1 AND object = ?2 AND key >= ?3 ORDER BY key DESC LIMIT ?4";
const LIST_BETWEEN: &str = "SELECT key, value FROM entries
    WHERE class = ?1 AND object = ?2 AND key >= ?3 AND key < ?5 ORDER BY key LIMIT ?4";
const LIST_BETWEEN_REVERSE: &str = "SELECT key, value FROM entries
    WHERE class = ?1 AND object = ?2 AND key >= ?3 AND key < ?5 ORDER BY key DESC LIMIT ?4";

/// To be kept ready.
pub(super) const STATEMENTS: &[&str] = &[
    BEGIN,
    END,
    GET,
    ALARM,
    ALARMS,
    LIST_FROM,
    LIST_FROM_REVERSE,
    LIST_BETWEEN,
    LIST_BETWEEN_REVERSE,
];

type Job = Box<dyn FnOnce(&mut Reader) + Send>;

/// The threads that read.
pub(super) struct Readers(Threads<Job>);

/// One of them.
pub(super) struct Reader {
    connection: Connection,
    classes: Classes,
    place: Arc<Place>,
}

impl Readers {
    pub(super) fn start(place: &Arc<Place>) -> error::Result<Self> {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let mut readers = Vec::new();
        for _ in 0..cores.clamp(2, 4) {
            let mut reader = Reader {
                connection: place.open_to_read()?,
                classes: Classes::default(),
                place: Arc::clone(place),
            };
            readers.push(move |job: Job| job(&mut reader));
        }
        Threads::shared("read", readers).map(Self)
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
    ) -> error::Result<T> {
        let job = |answer: oneshot::Sender<_>| -> Job {
            Box::new(move |reader| {
                // Nobody waits for it any more.
                if answer.is_closed() {
                    return;
                }
                let result = read(reader).map_err(|error| reader.place.failed("read", error));
                let _ = answer.send(result);
            })
        };
        self.0.ask(job).await?
    }
}

impl Reader {
    pub(super) fn get(&mut self, object: &ObjectKey, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        let Some(class) = self.classes.find(&self.connection, &object.class)? else {
            return Ok(vec![None; keys.len()]);
        };
        let mut get = self.connection.prepare_cached(GET)?;
        let mut value = |key: &Key| {
            let found = get.query_row(params![class, object.id, &key[..]], |row| bytes(row, 0));
            found.optional()
        };
        match keys {
            [key] => Ok(vec![value(key)?]),
            _ => self.at_one_moment(|| keys.iter().map(value).collect()),
        }
    }

    pub(super) fn list(&mut self, object: &ObjectKey, range: &Range) -> Result<Vec<(Key, Bytes)>> {
        let Some(class) = self.classes.find(&self.connection, &object.class)? else {
            return Ok(Vec::new());
        };
        let (start, end) = bounds(range);
        let mut list = self
            .connection
            .prepare_cached(match (&end, range.reverse) {
                (None, false) => LIST_FROM,
                (None, true) => LIST_FROM_REVERSE,
                (Some(_), false) => LIST_BETWEEN,
                (Some(_), true) => LIST_BETWEEN_REVERSE,
            })?;
        let (start, limit) = (&start[..], at_most(range.limit));
        let entry = |row: &Row<'_>| Ok((bytes(row, 0)?, bytes(row, 1)?));
        let entries = match &end {
            None => list.query_map(params![class, object.id, start, limit], entry),
            Some(end) => list.query_map(params![class, object.id, start, limit, &end[..]], entry),
        };
        entries?.collect()
    }

    pub(super) fn alarm(&mut self, object: &ObjectKey) -> Result<Option<Alarm>> {
        let Some(class) = self.classes.find(&self.connection, &object.class)? else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(ALARM)?;
        let found = statement.query_row(params![class, object.id], alarm);
        found.optional()
    }

    pub(super) fn alarms(&mut self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        let mut statement = self.connection.prepare_cached(ALARMS)?;
        let alarms = statement.query_map([at_most(limit)], |row| {
            let class = row.get_ref(2)?.as_str()?.into();
            let id = row.get(3)?;
            Ok((ObjectKey { class, id }, alarm(row)?))
        });
        alarms?.collect()
    }

    pub(super) fn alarm_classes(&mut self) -> Result<Vec<Arc<str>>> {
        let mut statement = self.connection.prepare_cached(ALARM_CLASSES)?;
        let classes = statement.query_map([], |row| Ok(row.get_ref(0)?.as_str()?.into()));
        classes?.collect()
    }

    /// What it reads is of one moment.
    fn at_one_moment<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        self.connection.prepare_cached(BEGIN)?.execute([])?;
        let result = read();
        self.connection.prepare_cached(END)?.execute([])?;
        result
    }
}

/// The first key of a range, and the first behind it, from below.
pub(super) fn bounds(range: &Range) -> (Key, Option<Key>) {
    let start = match &range.start {
        Bound::Unbounded => Key::new(),
        Bound::Included(key) => key.clone(),
        Bound::Excluded(key) => next(key),
    };
    let end = match &range.end {
        Bound::Unbounded => None,
        Bound::Included(key) => Some(next(key)),
        Bound::Excluded(key) => Some(key.clone()),
    };
    (start, end)
}

/// The key that comes next, of all that there could be.
fn next(key: &Key) -> Key {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

pub(super) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

/// Of the first two columns.
pub(super) fn alarm(row: &Row<'_>) -> Result<Alarm> {
    Ok(Alarm {
        at: row.get::<_, i64>(0)?.cast_unsigned(),
        retries: row.get(1)?,
    })
}
