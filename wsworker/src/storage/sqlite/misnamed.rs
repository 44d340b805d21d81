//! What is a store's in a directory that has none of the right name: a new one beside it
//! would look as if everything were lost.
//! Does not open it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::own;

/// A database of this application, under another name; a log without its database; or the
/// databases of objects.
pub(super) fn find(file: &Path, application: i32) -> io::Result<Option<PathBuf>> {
    if file.exists() {
        return Ok(None);
    }
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    for entry in fs::read_dir(file.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        // What a backup that was killed has left is not complete.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_store = if kind.is_dir() {
            entry.file_name() == own::DIRECTORY && fs::read_dir(&path)?.next().is_some()
        } else {
            let is_log = path.as_os_str() == log && entry.metadata()?.len() > 0;
            is_log || kind.is_file() && is_of(application, &path)
        };
        if is_store {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// By the database's header (<https://www.sqlite.org/fileformat.html>, 1.3). What cannot be
/// read is none.
fn is_of(application: i32, path: &Path) -> bool {
    let mut header = [0; 72];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok()
        && header.starts_with(b"SQLite format 3\0")
        && header[68..] == application.to_be_bytes()
}
