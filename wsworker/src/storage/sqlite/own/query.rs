//! Runs SQL: each statement in turn, the rows of the last.
//! Does not begin or end the transaction but for the first that writes.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, ToSql};

use super::entries::{BEGIN, SAVE, execute};
use super::guard::Guard;
use super::split::{statements, word};
use crate::error::{Error, Result};
use crate::storage::{SqlQuery, SqlRows, SqlValue};

/// What a query is about to do to the transaction.
#[derive(Default)]
pub(super) struct Marks {
    /// It has begun it.
    pub(super) began: bool,
    /// There is a savepoint to go back to.
    pub(super) saved: bool,
}

/// Why a query failed.
pub(super) enum Failure {
    Sql(rusqlite::Error),
    Other(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

pub(super) fn run(
    connection: &Connection,
    guard: &Guard,
    query: &SqlQuery,
    marks: &mut Marks,
) -> Result<SqlRows, Failure> {
    let statements = statements(&query.sql);
    let Some((last, before)) = statements.split_last() else {
        let message = "SQL wants a statement, got none";
        return Err(Failure::Other(Error::invalid(message)));
    };
    let mut written = 0;
    for sql in before {
        let before = connection.total_changes();
        let mut statement = prepare(connection, guard, query, sql, marks)?;
        if statement.parameter_count() > 0 {
            let message = format!("parameters are the last statement's, got some in `{sql}`");
            return Err(Failure::Other(Error::invalid(message)));
        }
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        written += connection.total_changes() - before;
    }
    let before = connection.total_changes();
    let mut statement = prepare(connection, guard, query, last, marks)?;
    let (wanted, seen) = (statement.parameter_count(), query.params.len());
    if wanted != seen {
        let message = format!("the SQL wants {wanted} parameters, got {seen}");
        return Err(Failure::Other(Error::invalid(message)));
    }
    for (at, value) in query.params.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value)?;
    }
    let columns = statement.column_names();
    let columns: Vec<_> = columns.into_iter().map(str::to_owned).collect();
    let values = rows(&mut statement, columns.len(), query.max_bytes)?;
    written += connection.total_changes() - before;
    Ok(SqlRows {
        columns,
        values,
        written,
        in_transaction: !connection.is_autocommit(),
    })
}

/// Before the first statement that writes it begins what can be undone.
fn prepare<'a>(
    connection: &'a Connection,
    guard: &Guard,
    query: &SqlQuery,
    sql: &str,
    marks: &mut Marks,
) -> Result<Statement<'a>, Failure> {
    if word(sql).is_some_and(|word| word.eq_ignore_ascii_case("VACUUM")) {
        let message = "SQL may not do this: VACUUM: it is no part of a transaction";
        return Err(Failure::Other(Error::invalid(message)));
    }
    // Not from the cache, where our own are: those may do everything.
    let statement = connection.prepare(sql)?;
    if !statement.readonly() && !marks.saved {
        guard.watch(None);
        if connection.is_autocommit() {
            execute(connection, BEGIN)?;
            marks.began = true;
        }
        execute(connection, SAVE)?;
        marks.saved = true;
        guard.watch(Some(query.deadline));
    }
    Ok(statement)
}

fn rows(
    statement: &mut Statement<'_>,
    columns: usize,
    max_bytes: usize,
) -> Result<Vec<SqlValue>, Failure> {
    let (mut values, mut bytes) = (Vec::new(), 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            let value = row.get_ref(column)?;
            let value = match value {
                ValueRef::Null => SqlValue::Null,
                ValueRef::Integer(integer) => SqlValue::Integer(integer),
                ValueRef::Real(real) => SqlValue::Real(real),
                ValueRef::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => SqlValue::Blob(bytes.to_vec()),
            };
            bytes += value.size();
            values.push(value);
        }
        if bytes > max_bytes {
            let seen = values.len() / columns.max(1);
            let message = format!(
                "the SQL gives more than {max_bytes} bytes: that is {seen} rows, and there are \
                 more; use LIMIT, or set max_result"
            );
            return Err(Failure::Other(Error::invalid(message)));
        }
    }
    Ok(values)
}

/// What an error of SQL means; `None` if it is not the SQL's, but the database's.
pub(super) fn meaning(error: &rusqlite::Error, guard: &Guard) -> Option<Error> {
    let refused = guard.take_refused();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Some(Error::constraint(error)),
        Some(ErrorCode::OperationInterrupted) => Some(Error::interrupted()),
        Some(ErrorCode::AuthorizationForStatementDenied) if refused.is_some() => {
            let refused = refused.unwrap_or_default();
            Some(Error::invalid(format!("SQL may not do this: {refused}")))
        }
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NoLargeFileSupport,
        ) => None,
        _ => Some(Error::invalid(format!("SQL: {error}"))),
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
