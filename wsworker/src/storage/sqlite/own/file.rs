//! The file of one object: where it is, whose it is, how it is opened.

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::super::database::{Format, PATIENCE, Place, create, failed, prepare, sync};
use super::entries;
use crate::error::{Error, Result};
use crate::storage::ObjectKey;

/// Beside the shared database; in it a directory for each class.
pub(in super::super) const DIRECTORY: &str = "objects";

pub(super) const FORMAT: Format = Format {
    application: 0x7773_6f6f, // "wsoo"
    schema: 1,
};

/// SQL does not reach these: their names say so.
const TABLES: &str = "
    CREATE TABLE _ws_entries (
        key BLOB PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE _ws_object (
        class TEXT NOT NULL,
        id BLOB NOT NULL,
        at INTEGER, -- of the alarm: NULL if there is none, from 2^63 on less than 0
        retries INTEGER
    ) STRICT;
";

/// What begins so is ours, in small letters or capitals.
pub(super) const OURS: &str = "_ws_";

/// The classes that have files, by their directories.
pub(super) fn classes(place: &Place) -> Result<HashSet<PathBuf>> {
    let directory = root(place);
    let read = fs::read_dir(&directory).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect()
    });
    match read {
        Ok(classes) => Ok(classes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => {
            let message = format!("cannot read the directory {}", directory.display());
            Err(Error::storage(message, Some(error.into())))
        }
    }
}

/// Is there a file with the name of an object's? What cannot be read has none.
pub(in super::super) fn has_databases(directory: &Path) -> bool {
    let within = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut files = within(directory).flat_map(|class| within(&class.path()));
    files.any(|file| {
        let name = file.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".db"));
        id.is_some_and(|id| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}

/// Where the object's file is, or would be.
pub(super) fn path(place: &Place, object: &ObjectKey) -> PathBuf {
    let mut class = String::new();
    for (at, byte) in object.class.bytes().enumerate() {
        // A name cannot be hidden, nor lead elsewhere.
        let plain = byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        match plain || byte == b'.' && at > 0 {
            true => class.push(char::from(byte)),
            false => write!(class, "%{byte:02x}").expect("a string takes everything"),
        }
    }
    let mut file = String::new();
    for byte in object.id {
        write!(file, "{byte:02x}").expect("a string takes everything");
    }
    root(place).join(class).join(file + ".db")
}

fn root(place: &Place) -> PathBuf {
    place.file.with_file_name(DIRECTORY)
}

/// Opens it, and makes it if need be.
pub(super) fn open(file: &Path, object: &ObjectKey) -> Result<Connection> {
    let directory = file.parent().unwrap_or(file);
    create(directory).map_err(|error| {
        let message = format!("cannot create the directory {}", directory.display());
        Error::storage(message, Some(error.into()))
    })?;
    // One thread at a time has it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let cannot_open = |error| failed(file, "open", error);
    let connection = Connection::open_with_flags(file, flags).map_err(cannot_open)?;
    connection.busy_timeout(PATIENCE).map_err(cannot_open)?;
    let is_new = FORMAT.is_new(&connection, file)?;
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON; PRAGMA journal_size_limit = 4194304;",
        )
        .map_err(cannot_open)?;
    set_up(&connection, object, is_new).map_err(cannot_open)?;
    if is_new {
        sync(directory).map_err(|error| {
            let message = format!("cannot sync the directory {}", directory.display());
            Error::storage(message, Some(error.into()))
        })?;
    }
    if !belongs(&connection, object).map_err(cannot_open)? {
        let message = format!("{} belongs to another object than {object}", file.display());
        return Err(Error::storage(message, None));
    }
    Ok(connection)
}

/// One in memory.
pub(super) fn open_in_memory(object: &ObjectKey) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    set_up(&connection, object, true)?;
    Ok(connection)
}

fn set_up(connection: &Connection, object: &ObjectKey, is_new: bool) -> rusqlite::Result<()> {
    use DbConfig::{
        SQLITE_DBCONFIG_DEFENSIVE as DEFENSIVE, SQLITE_DBCONFIG_DQS_DDL as DQS_DDL,
        SQLITE_DBCONFIG_DQS_DML as DQS_DML, SQLITE_DBCONFIG_TRUSTED_SCHEMA as TRUSTED_SCHEMA,
    };
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA foreign_keys = ON;")?;
    if is_new {
        FORMAT.create(connection, TABLES)?;
    }
    // Nobody else has it: a crash between the two leaves an object that is not named yet.
    let named = connection
        .query_row("SELECT 1 FROM _ws_object", [], |_| Ok(()))
        .optional()?;
    if named.is_none() {
        let name = "INSERT INTO _ws_object (class, id) VALUES (?1, ?2)";
        connection.execute(name, params![&*object.class, object.id])?;
    }
    // "x" is a name and never a text; the schema's own tables are only read.
    for (config, on) in [
        (DEFENSIVE, true),
        (TRUSTED_SCHEMA, false),
        (DQS_DDL, false),
        (DQS_DML, false),
    ] {
        connection.set_db_config(config, on)?;
    }
    for (limit, value) in LIMITS {
        connection.set_limit(*limit, *value)?;
    }
    connection.set_prepared_statement_cache_capacity(entries::STATEMENTS.len());
    prepare(connection, entries::STATEMENTS)
}

/// Was its making interrupted: has it no tables yet, or does it not say whose it is?
pub(super) fn is_unmade(connection: &Connection) -> rusqlite::Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(true);
    }
    let named = connection.query_row("SELECT 1 FROM _ws_object", [], |_| Ok(()));
    Ok(named.optional()?.is_none())
}

fn belongs(connection: &Connection, object: &ObjectKey) -> rusqlite::Result<bool> {
    let sql = "SELECT class = ?1 AND id = ?2 FROM _ws_object";
    connection.query_row(sql, params![&*object.class, object.id], |row| row.get(0))
}

/// What SQL may be and need at most.
const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, 16 << 20),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];
