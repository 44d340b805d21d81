//! A copy of the database and of the objects' own, made while they are in use.

use std::path::{self, Path};

use rusqlite::Connection;
use tempfile::Builder;

use super::apply::{Apply, Classes};
use super::database::{Place, failed as database_failed, sync};
use super::own::backup::{self as own, Copied};
use crate::error::{Error, Result};
use crate::storage::{Alarm, AlarmChange, Batch, HINT};

/// Writes the copy beside `path` and names it so when it is complete.
pub(super) fn write(place: &Place, path: &Path) -> Result<()> {
    let failed = |why: &str, source: Option<std::io::Error>| {
        let message = format!("cannot write a backup to {}{why}", path.display());
        Error::storage(message, source.map(Into::into))
    };
    let failed_as = |error| failed("", Some(error));
    if path.exists() {
        return Err(failed(": it is there already", None));
    }
    let full = path::absolute(path).map_err(failed_as)?;
    let Some(directory) = full.parent() else {
        return Err(failed(": it is a directory", None));
    };
    // Before the alarms' hints, which are made to say what the copies do.
    let owns = own::write(place, directory)?;
    let copy = Builder::new().prefix(PREFIX).tempfile_in(directory);
    let copy = copy.map_err(failed_as)?;
    let Some(name) = copy.path().to_str() else {
        return Err(failed(": SQLite wants its path in UTF-8", None));
    };
    // It reads one moment and does not keep commits from going on.
    let copied = place.open_to_read()?.execute("VACUUM INTO ?1", [name]);
    copied.map_err(|error| {
        let message = format!(
            "cannot back up {} to {}",
            place.file.display(),
            path.display()
        );
        Error::storage(message, Some(error.into()))
    })?;
    let hinted = hint(copy.path(), &owns.objects);
    hinted.map_err(|error| database_failed(copy.path(), "write to", error))?;
    copy.as_file().sync_all().map_err(failed_as)?;
    owns.persist()?;
    copy.persist_noclobber(&full)
        .map_err(|error| failed_as(error.error))?;
    sync(directory).map_err(failed_as)
}

/// Makes the hints of alarms what the objects' copies say.
fn hint(copy: &Path, objects: &[Copied]) -> rusqlite::Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let mut connection = Connection::open(copy)?;
    let mut classes = Classes::default();
    let transaction = connection.transaction()?;
    let mut apply = Apply::new(&transaction);
    for Copied { object, alarm } in objects {
        let class = classes.number(&transaction, &object.class)?;
        let hint = |alarm: Alarm| {
            AlarmChange::Set(Alarm {
                retries: HINT,
                ..alarm
            })
        };
        let batch = Batch::of_alarm(alarm.map_or(AlarmChange::Delete, hint));
        apply.batch(class, &object.id, &batch)?;
    }
    drop(apply);
    transaction.commit()
}

/// Of what is not complete.
pub(super) const PREFIX: &str = ".objects-backup-";
