//! The rows that SQL gave, as types that serde knows or as they are.

mod row;

use serde::de::DeserializeOwned;

use self::row::Row;
use crate::error::{Error, Result};
use crate::storage::{SqlRows, SqlValue};

/// What the last statement of an [`exec`](super::Sql::exec) gave. All of its rows are in
/// memory; it may be read often.
///
/// A row becomes any type that serde knows: a struct by its fields' names, which are the
/// columns'; a tuple, or a `Vec`, by position; anything else from its only column. `NULL`
/// is `None`. Integers do for `bool` (0 or 1) and floats, texts for enums without data,
/// blobs for byte buffers.
#[derive(Clone, Debug, Default)]
pub struct Cursor(SqlRows);

impl Cursor {
    pub(super) fn of(rows: SqlRows) -> Self {
        Self(rows)
    }

    /// The columns' names, in their order.
    pub fn columns(&self) -> &[String] {
        &self.0.columns
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.values.len() / self.width()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// How many rows this `exec` has inserted, changed and deleted, also by its triggers
    /// and foreign keys.
    pub fn rows_written(&self) -> u64 {
        self.0.written
    }

    /// The only row.
    ///
    /// # Errors
    /// There is none, or more than one; or it is of another type.
    pub fn one<T: DeserializeOwned>(&self) -> Result<T> {
        match self.len() {
            1 => self.row(0),
            seen => Err(Error::invalid(format!("one row was wanted, got {seen}"))),
        }
    }

    /// The only row, if there is one.
    ///
    /// # Errors
    /// There is more than one; or it is of another type.
    pub fn optional<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        match self.len() {
            0 => Ok(None),
            1 => self.row(0).map(Some),
            seen => {
                let message = format!("at most one row was wanted, got {seen}");
                Err(Error::invalid(message))
            }
        }
    }

    /// Every row.
    ///
    /// # Errors
    /// One is of another type.
    pub fn rows<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.iter().collect()
    }

    /// One row after the other; each may be of another type, which is an error.
    pub fn iter<T: DeserializeOwned>(&self) -> impl ExactSizeIterator<Item = Result<T>> {
        (0..self.len()).map(|at| self.row(at))
    }

    /// The rows' values as SQLite gave them.
    pub fn raw(&self) -> impl ExactSizeIterator<Item = &[SqlValue]> {
        self.0.values.chunks_exact(self.width())
    }

    fn row<T: DeserializeOwned>(&self, at: usize) -> Result<T> {
        let width = self.width();
        let values = &self.0.values[at * width..][..width];
        T::deserialize(Row::of(&self.0.columns, values)).map_err(|error| {
            let wanted = std::any::type_name::<T>();
            Error::invalid(format!("row {} is no {wanted}: {error}", at + 1))
        })
    }

    fn width(&self) -> usize {
        self.0.columns.len().max(1)
    }
}
