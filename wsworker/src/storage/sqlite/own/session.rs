//! A database of one object and its transaction, as one thread at a time has it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use rusqlite::Connection;

use super::super::database::failed;
use super::entries::{self, BEGIN, COMMIT, RELEASE, RETURN, ROLLBACK, execute};
use super::file::{self, FORMAT};
use super::guard::Guard;
use super::query::{self, Failure, Marks};
use crate::error::{Error, Result};
use crate::storage::{Alarm, Batch, Key, ObjectKey, Range, SqlQuery, SqlRows};

pub(in crate::storage) struct Session {
    connection: Connection,
    guard: Guard,
    file: PathBuf,
    /// SQLite has undone the whole transaction, for this reason: it cannot go on.
    lost: Option<String>,
}

impl Session {
    /// In a file. SQL that runs when it is `closing` is broken off.
    pub(super) fn open(file: &Path, object: &ObjectKey, closing: Arc<AtomicBool>) -> Result<Self> {
        let connection = file::open(file, object)?;
        Self::with(connection, file.to_owned(), closing)
    }

    /// In memory.
    pub(in crate::storage) fn in_memory(object: &ObjectKey) -> Result<Self> {
        let file = PathBuf::from(format!("the memory of {object}"));
        let connection = file::open_in_memory(object);
        let connection = connection.map_err(|error| failed(&file, "open", error))?;
        Self::with(connection, file, Arc::default())
    }

    fn with(mut connection: Connection, file: PathBuf, closing: Arc<AtomicBool>) -> Result<Self> {
        let guard = Guard::of(&mut connection, closing);
        Ok(Self {
            guard: guard.map_err(|error| failed(&file, "open", error))?,
            connection,
            file,
            lost: None,
        })
    }

    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>> {
        self.read(|connection| entries::get(connection, keys))
    }

    pub(super) fn list(&self, range: &Range) -> Result<Vec<(Key, Bytes)>> {
        self.read(|connection| entries::list(connection, range))
    }

    pub(super) fn alarm(&self) -> Result<Option<Alarm>> {
        self.read(entries::alarm)
    }

    pub(super) fn size(&self) -> Result<u64> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let size = |connection: &Connection| connection.query_row(sql, [], |row| row.get(0));
        self.read(size).map(i64::cast_unsigned)
    }

    /// Runs SQL, all of it or nothing.
    pub(super) fn query(&mut self, query: &SqlQuery) -> Result<SqlRows> {
        self.check()?;
        let mut marks = Marks::default();
        let was_open = !self.connection.is_autocommit();
        self.guard.watch(Some(query.deadline));
        let ran = query::run(&self.connection, &self.guard, query, &mut marks);
        self.guard.watch(None);
        match ran {
            Ok(rows) => {
                if marks.saved {
                    self.write("run SQL in", |connection| execute(connection, RELEASE))?;
                }
                Ok(rows)
            }
            Err(Failure::Other(error)) => {
                self.take_back(was_open, &marks, &error.to_string());
                Err(error)
            }
            Err(Failure::Sql(error)) => {
                self.take_back(was_open, &marks, &error.to_string());
                let meaning = query::meaning(&error, &self.guard);
                Err(meaning.unwrap_or_else(|| failed(&self.file, "run SQL in", error)))
            }
        }
    }

    pub(super) fn clear_tables(&mut self) -> Result<()> {
        self.check()?;
        self.write("clear", |connection| {
            if connection.is_autocommit() {
                execute(connection, BEGIN)?;
            }
            clear(connection)
        })
    }

    pub(super) fn commit(&mut self, batch: &Batch) -> Result<()> {
        if let Err(error) = self.check() {
            self.rollback()?;
            return Err(error);
        }
        let connection = &self.connection;
        if connection.is_autocommit() && batch.is_empty() {
            return Ok(());
        }
        let committed = || {
            if connection.is_autocommit() {
                execute(connection, BEGIN)?;
            }
            entries::apply(connection, batch)?;
            execute(connection, COMMIT)
        };
        let Err(error) = committed() else {
            return Ok(());
        };
        let _ = self.rollback();
        // What a failed sync leaves in the log is complete, and would be found there if
        // the process were killed now.
        let _ = FORMAT.touch(&self.connection);
        Err(failed(&self.file, "commit to", error))
    }

    pub(in crate::storage) fn rollback(&mut self) -> Result<()> {
        self.lost = None;
        if self.connection.is_autocommit() {
            return Ok(());
        }
        let undone = execute(&self.connection, ROLLBACK);
        undone.map_err(|error| failed(&self.file, "undo what was done in", error))
    }

    /// A query that has failed has done nothing.
    fn take_back(&mut self, was_open: bool, marks: &Marks, why: &str) {
        let connection = &self.connection;
        let as_before = match (connection.is_autocommit(), marks) {
            (true, _) => !was_open,
            (false, Marks { began: true, .. }) => execute(connection, ROLLBACK).is_ok(),
            (false, Marks { saved: true, .. }) => {
                let back = execute(connection, RETURN);
                back.and_then(|()| execute(connection, RELEASE)).is_ok()
            }
            (false, _) => true,
        };
        if !as_before {
            self.lost = Some(why.to_owned());
        }
    }

    fn check(&self) -> Result<()> {
        match &self.lost {
            None => Ok(()),
            Some(why) => {
                let message = format!("the whole transaction was undone: {why}");
                Err(Error::storage(message, None))
            }
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.connection).map_err(|error| failed(&self.file, "read", error))
    }

    /// What fails here leaves a transaction that cannot be committed.
    fn write(
        &mut self,
        what: &str,
        write: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<()> {
        write(&self.connection).map_err(|error| {
            self.lost = Some(error.to_string());
            failed(&self.file, what, error)
        })
    }
}

/// Drops what SQL has made. What refers to each other goes in any order.
fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    // Views first, then virtual tables, which take their own tables along.
    let next = "SELECT type, name FROM sqlite_schema
        WHERE type IN ('view', 'table') AND name NOT IN ('_ws_entries', '_ws_object')
            AND (name NOT LIKE 'sqlite\\_%' ESCAPE '\\' OR name LIKE 'sqlite\\_stat_' ESCAPE '\\')
        ORDER BY type DESC, sql LIKE 'CREATE VIRTUAL%' DESC LIMIT 1";
    let mut next = connection.prepare(next)?;
    loop {
        let mut rows = next.query([])?;
        let Some(row) = rows.next()? else {
            break;
        };
        let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
        drop(rows);
        let name = name.replace('"', "\"\"");
        connection.execute_batch(&format!("DROP {kind} \"{name}\""))?;
    }
    let sequence = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    let sequence: i64 = connection.query_row(sequence, [], |row| row.get(0))?;
    if sequence > 0 {
        connection.execute_batch("DELETE FROM sqlite_sequence")?;
    }
    Ok(())
}
