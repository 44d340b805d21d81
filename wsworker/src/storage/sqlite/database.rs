//! The database file: whose it is, what is in it, how it is opened.

use std::fs::{self, File};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::lock::{Lock, lock};
use super::{apply, misnamed, reader};
use crate::error::{Error, Result};

const FILE: &str = "objects.db";

/// A later version brings an earlier schema up to its own.
const FORMAT: Format = Format {
    application: 0x7773_6f62, // "wsob"
    schema: 1,
};

/// Whose a file is and what is in it, as it says itself, also to `file(1)`.
pub(super) struct Format {
    pub(super) application: i32,
    /// Of its tables.
    pub(super) schema: i32,
}

/// How long the database may be held by another program, such as the operator's
/// `sqlite3`.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Keys are ordered as bytes, as blobs are; the rows of an object lie together.
const TABLES: &str = "
    CREATE TABLE classes (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE entries (
        class INTEGER NOT NULL,
        object BLOB NOT NULL,
        key BLOB NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (class, object, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE alarms (
        class INTEGER NOT NULL,
        object BLOB NOT NULL,
        at INTEGER NOT NULL, -- from 2^63 on less than 0: hence the index's order
        retries INTEGER NOT NULL,
        PRIMARY KEY (class, object)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alarms_by_time ON alarms (at < 0, at);
";

/// The database file, which is ours for as long as this lives.
pub(super) struct Place {
    pub(super) file: PathBuf,
    _lock: Lock,
}

impl Place {
    /// Makes the directory where it is not there, and locks it.
    pub(super) fn take(directory: &Path) -> Result<Self> {
        let directory = path::absolute(directory)
            .and_then(|directory| create(&directory).map(|()| directory))
            .map_err(|error| {
                let message = format!("cannot create the data directory {}", directory.display());
                Error::storage(message, Some(error.into()))
            })?;
        Ok(Self {
            _lock: lock(&directory)?,
            file: directory.join(FILE),
        })
    }

    /// The connection that writes. Checks whose database it is before it changes it.
    pub(super) fn open(&self) -> Result<Connection> {
        self.check_names()?;
        let connection =
            self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let failed = |error| self.failed("open", error);
        let is_new = FORMAT.is_new(&connection, &self.file)?;
        self.set_up(&connection).map_err(failed)?;
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
            .map_err(failed)?;
        if mode != "wal" {
            let file = self.file.display();
            let message = format!("{file} needs a write-ahead log, and has to do with '{mode}'");
            return Err(Error::storage(message, None));
        }
        if is_new {
            FORMAT.create(&connection, TABLES).map_err(failed)?;
        }
        prepare(&connection, apply::STATEMENTS).map_err(failed)?;
        Ok(connection)
    }

    /// Would a new database stand beside one that lost its name?
    fn check_names(&self) -> Result<()> {
        let file = self.file.display();
        let found = misnamed::find(&self.file, FORMAT.application).map_err(|error| {
            let message = format!("cannot look what is beside {file}");
            Error::storage(message, Some(error.into()))
        })?;
        let Some(found) = found else {
            return Ok(());
        };
        let found = found.display();
        let message = format!(
            "there is no {file}, but {found}, which is part of such a store: rename a copy to \
             {FILE}, or take an empty directory"
        );
        Err(Error::storage(message, None))
    }

    /// One more connection, that only reads; after [`open`](Self::open).
    pub(super) fn open_to_read(&self) -> Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        prepare(&connection, reader::STATEMENTS).map_err(|error| self.failed("open", error))?;
        Ok(connection)
    }

    /// One more connection, for checkpoints; after [`open`](Self::open).
    pub(super) fn open_to_checkpoint(&self) -> Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let set_up = self.set_up(&connection);
        set_up.map_err(|error| self.failed("open", error))?;
        Ok(connection)
    }

    /// As the function of this name, of this file.
    pub(super) fn failed(&self, what: &str, error: impl Into<Arc<rusqlite::Error>>) -> Error {
        failed(&self.file, what, error)
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection> {
        // Each connection has a thread of its own.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.file, flags);
        let connection = connection.map_err(|error| self.failed("open", error))?;
        let timeout = connection.busy_timeout(PATIENCE);
        timeout.map_err(|error| self.failed("open", error))?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }

    /// How it writes. `fullfsync` is for macOS, whose `fsync` does not reach the disk.
    fn set_up(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON; PRAGMA cache_size = -16384;
             PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;",
        )
    }
}

impl Format {
    /// Is the database new, and without tables? An error if it is not of this format.
    pub(super) fn is_new(&self, connection: &Connection, file: &Path) -> Result<bool> {
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
        let failed = |error| failed(file, "open", error);
        let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
        let application = number("PRAGMA application_id").map_err(failed)?;
        let schema = number("PRAGMA user_version").map_err(failed)?;
        let readonly = connection.is_readonly(MAIN_DB).map_err(failed)?;
        let (file, ours, known) = (file.display(), self.application, self.schema);
        let message = if readonly {
            format!("cannot write to {file}")
        } else if (application, schema, tables) == (0, 0, 0) {
            return Ok(true);
        } else if application != ours {
            format!(
                "{file} belongs to another application: its id is {application:#x}, \
                 and not {ours:#x}"
            )
        } else if schema == known {
            return Ok(false);
        } else if schema > known {
            format!(
                "{file} was written by a newer version: schema {schema}, this one knows {known}"
            )
        } else {
            format!("{file} is damaged: schema {schema}, which no version has written")
        };
        Err(Error::storage(message, None))
    }

    /// Makes the tables and marks the file, all or nothing.
    pub(super) fn create(&self, connection: &Connection, tables: &str) -> rusqlite::Result<()> {
        let Self {
            application,
            schema,
        } = self;
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {tables} PRAGMA application_id = {application};
             PRAGMA user_version = {schema}; COMMIT;"
        ))
    }

    /// Writes anew what stands there already: what follows the log's last commit goes.
    pub(super) fn touch(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "user_version", self.schema)
    }
}

/// Writes anew what stands there already: what follows the log's last commit goes.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    FORMAT.touch(connection)
}

/// What an error of the database means, when this was to be done to the file.
pub(super) fn failed(file: &Path, what: &str, error: impl Into<Arc<rusqlite::Error>>) -> Error {
    let error: Arc<rusqlite::Error> = error.into();
    let file = file.display();
    let message = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!("{file} is no SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => format!("{file} is damaged"),
        _ => format!("cannot {what} {file}"),
    };
    Error::storage(message, Some(Box::new(error)))
}

/// Keeps the statements ready, and shows early if the tables are not those wanted.
pub(super) fn prepare(connection: &Connection, statements: &[&str]) -> rusqlite::Result<()> {
    for statement in statements {
        connection.prepare_cached(statement)?;
    }
    Ok(())
}

/// Makes a directory that outlives a loss of power: each new one is in its parent.
pub(super) fn create(directory: &Path) -> std::io::Result<()> {
    let is_new = |path: &&Path| !path.exists();
    let new: Vec<_> = directory.ancestors().take_while(is_new).collect();
    fs::create_dir_all(directory)?;
    for parent in new.iter().filter_map(|path| path.parent()) {
        sync(parent)?;
    }
    Ok(())
}

/// Makes durable what names a directory has.
pub(super) fn sync(directory: &Path) -> std::io::Result<()> {
    // Elsewhere a directory cannot be opened; the file system cares for that.
    if cfg!(unix) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}
