//! A copy of the database, made while it is in use.

use std::path::{self, Path};

use tempfile::Builder;

use super::database::{Place, sync};
use crate::error::{Error, Result};

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
    let copy = Builder::new()
        .prefix(".objects-backup-")
        .tempfile_in(directory);
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
    copy.as_file().sync_all().map_err(failed_as)?;
    copy.persist_noclobber(&full)
        .map_err(|error| failed_as(error.error))?;
    sync(directory).map_err(failed_as)
}
