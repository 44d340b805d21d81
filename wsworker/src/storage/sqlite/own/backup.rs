//! Copies of objects' own databases, each of one moment.
//! Does not copy the shared one, nor say what follows from an alarm.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tempfile::{Builder, TempDir};

use super::super::backup::PREFIX;
use super::super::database::{PATIENCE, Place, failed, sync};
use super::{entries, file};
use crate::error::{Error, Result};
use crate::storage::{Alarm, ObjectKey};

/// The copies, in a directory that goes away if it is not kept.
pub(in super::super) struct Owns {
    pub(in super::super) objects: Vec<Copied>,
    /// Where they are, and where they belong; `None` if there are none.
    place: Option<(TempDir, PathBuf)>,
}

/// An object that is copied, and the alarm in its copy.
pub(in super::super) struct Copied {
    pub(in super::super) object: ObjectKey,
    pub(in super::super) alarm: Option<Alarm>,
}

/// Copies the files of all objects that have one.
pub(in super::super) fn write(place: &Place, directory: &Path) -> Result<Owns> {
    let mut owns = Owns {
        objects: Vec::new(),
        place: None,
    };
    for class in file::classes(place)? {
        for own in files(&class).map_err(|error| cannot(&class, error))? {
            let (copies, _) = match &mut owns.place {
                Some(copies) => copies,
                none => none.insert(begin(directory)?),
            };
            let copy = copies.path().join(class.file_name().unwrap_or_default());
            fs::create_dir_all(&copy).map_err(|error| cannot(&copy, error))?;
            let copy = copy.join(own.file_name().unwrap_or_default());
            owns.objects.extend(copy_one(&own, &copy)?);
        }
    }
    Ok(owns)
}

impl Owns {
    /// Gives them their place, complete and synced.
    pub(in super::super) fn persist(self) -> Result<()> {
        let Some((copies, place)) = self.place else {
            return Ok(());
        };
        let kept = || -> io::Result<()> {
            for class in fs::read_dir(copies.path())? {
                sync(&class?.path())?;
            }
            sync(copies.path())?;
            fs::rename(copies.path(), &place)?;
            sync(place.parent().unwrap_or(&place))
        };
        kept().map_err(|error| cannot(&place, error))
    }
}

fn begin(directory: &Path) -> Result<(TempDir, PathBuf)> {
    let place = directory.join(file::DIRECTORY);
    if place.exists() {
        let place = place.display();
        let message = format!("cannot write a backup to {place}: it is there already");
        return Err(Error::storage(message, None));
    }
    let copies = Builder::new().prefix(PREFIX).tempdir_in(directory);
    let copies = copies.map_err(|error| cannot(directory, error))?;
    Ok((copies, place))
}

/// The databases in a class's directory.
fn files(class: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(class)?.map(|entry| entry.map(|entry| entry.path()));
    let files: io::Result<Vec<_>> = entries.collect();
    let mut files = files?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "db"));
    Ok(files)
}

/// Gives nothing if nothing is stored there: the process was killed while it made the file, or
/// is just making it.
fn copy_one(own: &Path, copy: &Path) -> Result<Option<Copied>> {
    let copied = || -> rusqlite::Result<Option<Copied>> {
        // One that a killed process has left needs its log.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(own, flags)?;
        connection.busy_timeout(PATIENCE)?;
        if file::is_unmade(&connection)? {
            return Ok(None);
        }
        connection.execute("VACUUM INTO ?1", [copy.to_str()])?;
        let connection = Connection::open(copy)?;
        let named = "SELECT class, id FROM _ws_object";
        let object = connection.query_row(named, [], |row| {
            let class = row.get_ref(0)?.as_str()?.into();
            let id = row.get(1)?;
            Ok(ObjectKey { class, id })
        })?;
        let alarm = entries::alarm(&connection)?;
        Ok(Some(Copied { object, alarm }))
    };
    let copied = copied().map_err(|error| failed(own, "back up", error))?;
    if copied.is_none() {
        return Ok(None);
    }
    let synced = File::open(copy).and_then(|file| file.sync_all());
    synced.map_err(|error| cannot(copy, error))?;
    Ok(copied)
}

fn cannot(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot write a backup: {}", path.display());
    Error::storage(message, Some(error.into()))
}
