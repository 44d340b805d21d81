//! SQL as a backend sees it: an object's own database, what it is asked, what it gives.
//! Does not know SQLite; `sqlite::own` does.

use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Alarm, Batch, Key, Range};
use crate::error::Result;

/// All that one object keeps, in a database of its own: keys and values, alarm, and
/// the tables that its SQL makes. From [`Storage::open_database`].
///
/// [`Storage::open_database`]: super::Storage::open_database
///
/// ### Must hold
/// - **A transaction**: what [`query`](Self::query) and
///   [`clear_tables`](Self::clear_tables) write is seen by the next `query` and by
///   nobody after a [`rollback`](Self::rollback), or when the database is dropped.
/// - **One commit**: [`commit`](Self::commit) makes it durable together with its batch,
///   or nothing of both. When it has returned `Err`, nothing of them is to be seen.
/// - **A query that fails** does nothing: what was written before it stays in the
///   transaction. Where that cannot be, as on a full disk, every later call but
///   `rollback` fails.
/// - **Apart**: SQL reaches neither the keys and the alarm nor another object, and
///   cannot end the transaction.
/// - **In order**: calls take effect in the order of their first polls. One that is
///   dropped later takes effect all the same, or not at all.
/// - Dropping it rolls back, and lets everything go that an open database holds.
#[async_trait]
pub trait ObjectDatabase: Send + Sync {
    /// As [`Storage::get`](super::Storage::get).
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>>;

    /// As [`Storage::list`](super::Storage::list).
    async fn list(&self, range: Range) -> Result<Vec<(Key, Bytes)>>;

    /// The object's alarm, if it has one.
    async fn alarm(&self) -> Result<Option<Alarm>>;

    /// Runs SQL, and begins the transaction with the first that writes.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid): it is no SQL, or may not be run, or
    /// gives too much; [`is_constraint`](crate::Error::is_constraint);
    /// [`is_timeout`](crate::Error::is_timeout): it was interrupted;
    /// [`is_storage`](crate::Error::is_storage): the database failed.
    async fn query(&self, query: SqlQuery) -> Result<SqlRows>;

    /// Takes away every table, view, index and trigger that SQL has made.
    async fn clear_tables(&self) -> Result<()>;

    /// The size of the database in bytes, with the transaction.
    async fn size(&self) -> Result<u64>;

    /// Adds a batch to the transaction, and makes it durable.
    async fn commit(&self, batch: Batch) -> Result<()>;

    /// Undoes the transaction, if there is one.
    async fn rollback(&self) -> Result<()>;
}

/// What is asked of an object's database.
#[derive(Clone, Debug)]
pub struct SqlQuery {
    /// One statement, or several with `;` between them.
    pub sql: String,
    /// The parameters of the last of them.
    pub params: Vec<SqlValue>,
    /// More bytes of rows than so many are an error.
    pub max_bytes: usize,
    /// What runs longer is interrupted.
    pub deadline: Instant,
}

/// What the last statement of a query gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlRows {
    /// The columns' names; none for a statement that gives no rows.
    pub columns: Vec<String>,
    /// The values of all rows, one row after the other.
    pub values: Vec<SqlValue>,
    /// How many rows the query has inserted, changed and deleted.
    pub written: u64,
    /// Is a transaction open now, by this query or an earlier one?
    pub in_transaction: bool,
}

/// A value in SQL, of one of SQLite's five types. What converts into it goes in as a
/// parameter: integers of up to 64 bits with a sign (`bool` as 0 or 1, no `u64`, which
/// may not fit), floats, text, bytes, and an `Option` of these.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SqlValue {
    /// `NULL`.
    #[default]
    Null,
    /// `INTEGER`.
    Integer(i64),
    /// `REAL`. `NaN` becomes `NULL`.
    Real(f64),
    /// `TEXT`, in UTF-8.
    Text(String),
    /// `BLOB`.
    Blob(Vec<u8>),
}

/// Marks an alarm in the shared storage as a hint of one in an object's own database: so
/// many tries no alarm has.
pub(crate) const HINT: u32 = u32::MAX;

impl SqlValue {
    /// The bytes that it holds, and what it costs besides.
    pub(crate) fn size(&self) -> usize {
        let held = match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
        };
        size_of::<Self>() + held
    }

    /// The name of its type, as SQLite's `typeof` gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer(_) => "integer",
            Self::Real(_) => "real",
            Self::Text(_) => "text",
            Self::Blob(_) => "blob",
        }
    }
}

macro_rules! from {
    ($($variant:ident: $($type:ty)*;)*) => {$($(
        impl From<$type> for SqlValue {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*)*};
}

from! {
    Integer: bool i8 i16 i32 i64 u8 u16 u32;
    Real: f32 f64;
    Text: String &str &String Box<str>;
    Blob: Vec<u8> &[u8] Bytes Box<[u8]>;
}

impl<const N: usize> From<[u8; N]> for SqlValue {
    fn from(value: [u8; N]) -> Self {
        Self::Blob(value.into())
    }
}

impl<const N: usize> From<&[u8; N]> for SqlValue {
    fn from(value: &[u8; N]) -> Self {
        Self::Blob(value.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
