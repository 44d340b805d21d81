//! A bare loop of SQLite transactions, with the rows that objects would write: the disk's own ceiling.
//! Does not go through wsworker.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use rusqlite::{Connection, params};

/// Which rows are written.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// Objects, in turn.
    pub objects: usize,
    /// Keys of each, in turn.
    pub keys: u64,
    /// Bytes of a value, at least eight.
    pub size: usize,
}

impl Rows {
    /// An object's id. Ids are hashes: neighbours lie apart.
    pub fn object(number: usize) -> [u8; 32] {
        let mut id = [0x5a; 32];
        let hash = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        id[..8].copy_from_slice(&hash.to_be_bytes());
        id
    }

    /// The key of an object's write of this number.
    pub fn key(&self, count: u64) -> [u8; 8] {
        (count % self.keys).to_be_bytes()
    }

    /// Never the same as before: SQLite does not write a row that is.
    pub fn value(&self, count: u64) -> Vec<u8> {
        let count = count.to_be_bytes();
        let size = self.size.max(count.len());
        count.into_iter().cycle().take(size).collect()
    }
}

/// A database of its own, in which each transaction is synced.
pub struct Bare {
    connection: Connection,
    count: u64,
}

impl Bare {
    /// Makes the database.
    pub fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE entries (
                 class INTEGER NOT NULL, object BLOB NOT NULL, key BLOB NOT NULL,
                 value BLOB NOT NULL, PRIMARY KEY (class, object, key)
             ) STRICT, WITHOUT ROWID;",
        )?;
        let count = 0;
        Ok(Self { connection, count })
    }

    /// Rows a second, so many in a transaction.
    pub fn run(&mut self, group: usize, rows: Rows, time: Duration) -> Result<f64> {
        let objects: Vec<_> = (0..rows.objects).map(Rows::object).collect();
        let (started, before) = (Instant::now(), self.count);
        while started.elapsed() < time {
            let transaction = self.connection.transaction()?;
            let mut put =
                transaction.prepare_cached("REPLACE INTO entries VALUES (1, ?1, ?2, ?3)")?;
            for _ in 0..group {
                let object = &objects[self.count as usize % objects.len()];
                let key = rows.key(self.count / objects.len() as u64);
                let value = rows.value(self.count);
                put.execute(params![object, &key[..], value])?;
                self.count += 1;
            }
            drop(put);
            transaction.commit()?;
        }
        Ok((self.count - before) as f64 / started.elapsed().as_secs_f64())
    }
}
