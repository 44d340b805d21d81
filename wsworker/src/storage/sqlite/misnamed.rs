//! What is a store's in a directory that has none of the right name: a new one beside it
//! would look as if everything were lost.
//! Does not open it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::own;

/// A database of this application under another name, a log without its database, or the
/// databases of objects. What cannot be read is none of them.
pub(super) fn find(file: &Path, application: i32) -> io::Result<Option<PathBuf>> {
    if file.exists() {
        return Ok(None);
    }
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    let directory = file.parent().unwrap_or(Path::new("."));
    let paths = fs::read_dir(directory)?.flatten().map(|entry| entry.path());
    // What a backup that was killed has left is not complete.
    for path in paths.filter(|path| !is_hidden(path)) {
        let is_stores = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                path.ends_with(own::DIRECTORY) && own::has_databases(&path)
            }
            Ok(found) if found.is_file() => {
                path.as_os_str() == log && found.len() > 0 || is_of(application, &path)
            }
            _ => false,
        };
        if is_stores {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// By the database's header (<https://www.sqlite.org/fileformat.html>, 1.3).
fn is_of(application: i32, path: &Path) -> bool {
    let mut header = [0; 72];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok()
        && header.starts_with(b"SQLite format 3\0")
        && header[68..] == application.to_be_bytes()
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}
