//! A batch as SQL. Does not begin or end a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Result, params};

use crate::storage::{AlarmChange, Batch};

const CLASS: &str = "SELECT number FROM classes WHERE name = ?1";
const ADD_CLASS: &str = "INSERT INTO classes (name) VALUES (?1)";
const CLEAR: &str = "DELETE FROM entries WHERE class = ?1 AND object = ?2";
const PUT: &str = "REPLACE INTO entries (class, object, key, value) VALUES (?1, ?2, ?3, ?4)";
const DELETE: &str = "DELETE FROM entries WHERE class = ?1 AND object = ?2 AND key = ?3";
const SET_ALARM: &str = "REPLACE INTO alarms (class, object, at, retries) VALUES (?1, ?2, ?3, ?4)";
const DELETE_ALARM: &str = "DELETE FROM alarms WHERE class = ?1 AND object = ?2";

/// To be kept ready.
pub(super) const STATEMENTS: &[&str] = &[
    CLASS,
    ADD_CLASS,
    CLEAR,
    PUT,
    DELETE,
    SET_ALARM,
    DELETE_ALARM,
];

/// The numbers that stand for classes' names. They never change.
#[derive(Default)]
pub(super) struct Classes {
    numbers: HashMap<Arc<str>, i64>,
    /// The one that was asked for last: often the next one is the same.
    last: Option<(Arc<str>, i64)>,
}

impl Classes {
    /// The class's number, if one of its objects ever stored something.
    pub(super) fn find(&mut self, connection: &Connection, name: &Arc<str>) -> Result<Option<i64>> {
        if let Some(number) = self.known(name) {
            return Ok(Some(number));
        }
        let mut statement = connection.prepare_cached(CLASS)?;
        let found = statement
            .query_row([&**name], |row| row.get(0))
            .optional()?;
        if let Some(number) = found {
            self.numbers.insert(Arc::clone(name), number);
        }
        Ok(found)
    }

    fn known(&mut self, name: &Arc<str>) -> Option<i64> {
        match &self.last {
            Some((last, number)) if Arc::ptr_eq(last, name) => Some(*number),
            _ => {
                let number = *self.numbers.get(name)?;
                self.last = Some((Arc::clone(name), number));
                Some(number)
            }
        }
    }

    /// The class's number, a new one if need be: outside transactions, which could
    /// undo it.
    pub(super) fn number(&mut self, connection: &Connection, name: &Arc<str>) -> Result<i64> {
        if let Some(number) = self.find(connection, name)? {
            return Ok(number);
        }
        connection.prepare_cached(ADD_CLASS)?.execute([&**name])?;
        let number = connection.last_insert_rowid();
        self.numbers.insert(Arc::clone(name), number);
        Ok(number)
    }
}

/// Does what batches say, one after the other.
pub(super) struct Apply<'c> {
    connection: &'c Connection,
    /// Made ready once for all of them: nearly all batches put.
    put: Option<CachedStatement<'c>>,
}

impl<'c> Apply<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        let put = None;
        Self { connection, put }
    }

    pub(super) fn batch(&mut self, class: i64, object: &[u8; 32], batch: &Batch) -> Result<()> {
        let connection = self.connection;
        if batch.clear {
            let mut clear = connection.prepare_cached(CLEAR)?;
            clear.execute(params![class, object])?;
        }
        for (key, value) in &batch.writes {
            match value {
                Some(value) => {
                    let put = match &mut self.put {
                        Some(put) => put,
                        none => none.insert(connection.prepare_cached(PUT)?),
                    };
                    put.execute(params![class, object, &key[..], &value[..]])?;
                }
                None => {
                    let mut delete = connection.prepare_cached(DELETE)?;
                    delete.execute(params![class, object, &key[..]])?;
                }
            }
        }
        match batch.alarm {
            Some(AlarmChange::Set(alarm)) => {
                let mut set = connection.prepare_cached(SET_ALARM)?;
                let at = alarm.at.cast_signed();
                set.execute(params![class, object, at, alarm.retries])?;
            }
            Some(AlarmChange::Delete) => {
                let mut delete = connection.prepare_cached(DELETE_ALARM)?;
                delete.execute(params![class, object])?;
            }
            None => {}
        }
        Ok(())
    }
}
