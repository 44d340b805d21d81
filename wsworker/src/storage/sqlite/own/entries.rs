//! An object's keys, values and alarm in its own tables.
//! Does not begin or end a transaction.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::super::reader::{alarm as read_alarm, at_most, bounds, bytes};
use crate::storage::{Alarm, AlarmChange, Batch, Key, Range};

const GET: &str = "SELECT value FROM _ws_entries WHERE key = ?1";
const LIST: &str = "SELECT key, value FROM _ws_entries
    WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) ORDER BY key LIMIT ?3";
const LIST_REVERSE: &str = "SELECT key, value FROM _ws_entries
    WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) ORDER BY key DESC LIMIT ?3";
const ALARM: &str = "SELECT at, retries FROM _ws_object WHERE at IS NOT NULL";
const CLEAR: &str = "DELETE FROM _ws_entries";
const PUT: &str = "REPLACE INTO _ws_entries (key, value) VALUES (?1, ?2)";
const DELETE: &str = "DELETE FROM _ws_entries WHERE key = ?1";
const SET_ALARM: &str = "UPDATE _ws_object SET at = ?1, retries = ?2";
const DELETE_ALARM: &str = "UPDATE _ws_object SET at = NULL, retries = NULL";
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const COMMIT: &str = "COMMIT";
pub(super) const ROLLBACK: &str = "ROLLBACK";
pub(super) const SAVE: &str = "SAVEPOINT _ws_query";
pub(super) const RELEASE: &str = "RELEASE _ws_query";
pub(super) const RETURN: &str = "ROLLBACK TO _ws_query";

/// To be kept ready.
pub(super) const STATEMENTS: &[&str] = &[
    GET,
    LIST,
    LIST_REVERSE,
    ALARM,
    CLEAR,
    PUT,
    DELETE,
    SET_ALARM,
    DELETE_ALARM,
    BEGIN,
    COMMIT,
    ROLLBACK,
    SAVE,
    RELEASE,
    RETURN,
];

pub(super) fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

pub(super) fn get(connection: &Connection, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
    let mut get = connection.prepare_cached(GET)?;
    let values = keys.iter().map(|key| {
        let found = get.query_row([&key[..]], |row| bytes(row, 0));
        found.optional()
    });
    values.collect()
}

pub(super) fn list(connection: &Connection, range: &Range) -> Result<Vec<(Key, Bytes)>> {
    let (start, end) = bounds(range);
    let sql = if range.reverse { LIST_REVERSE } else { LIST };
    let mut list = connection.prepare_cached(sql)?;
    let entry = |row: &Row<'_>| Ok((bytes(row, 0)?, bytes(row, 1)?));
    let end = end.as_deref();
    let entries = list.query_map(params![&start[..], end, at_most(range.limit)], entry);
    entries?.collect()
}

pub(super) fn alarm(connection: &Connection) -> Result<Option<Alarm>> {
    let mut alarm = connection.prepare_cached(ALARM)?;
    alarm.query_row([], read_alarm).optional()
}

/// Does what the batch says. Its `clear` is of keys: tables are cleared before.
pub(super) fn apply(connection: &Connection, batch: &Batch) -> Result<()> {
    if batch.clear {
        execute(connection, CLEAR)?;
    }
    for (key, value) in &batch.writes {
        match value {
            Some(value) => {
                let mut put = connection.prepare_cached(PUT)?;
                put.execute(params![&key[..], &value[..]])?;
            }
            None => {
                let mut delete = connection.prepare_cached(DELETE)?;
                delete.execute([&key[..]])?;
            }
        }
    }
    match batch.alarm {
        Some(AlarmChange::Set(alarm)) => {
            let mut set = connection.prepare_cached(SET_ALARM)?;
            set.execute(params![alarm.at.cast_signed(), alarm.retries])?;
        }
        Some(AlarmChange::Delete) => execute(connection, DELETE_ALARM)?,
        None => {}
    }
    Ok(())
}
