//! One storage for a directory: a lock that ends with whoever holds it.
//! Does not tell hosts apart: on a network's file system that is up to it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The file that is locked. It stays: to remove it would be a race.
const FILE: &str = "objects.lock";

/// A process that is being started has its parent's files, locks included, until it runs
/// a program of its own: so a lock may outlive its file for a moment.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(5);

/// A directory's lock, until it is dropped.
pub(super) struct Lock {
    _file: File,
    /// A file that somebody removes as left over keeps nobody out any more, and two would
    /// write then, neither seeing what the other wrote. So the directory is locked too,
    /// where the system can do that.
    _directory: Option<File>,
}

/// Locks the directory. Its file has the process's number in it, for the next one's error.
pub(super) fn lock(directory: &Path) -> Result<Lock> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join(FILE))
        .map_err(|error| cannot("write in", directory, error))?;
    match patiently(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(directory, file)),
        Err(TryLockError::Error(error)) => return Err(cannot("lock", directory, error)),
    }
    let opened = File::open(directory).ok();
    let locked = match opened.as_ref().map(patiently) {
        Some(Ok(())) => opened,
        Some(Err(TryLockError::WouldBlock)) => return Err(held(directory, file)),
        // Windows opens no directory, and NFS locks none.
        Some(Err(TryLockError::Error(_))) | None => None,
    };
    file.set_len(0)
        .and_then(|()| write!(file, "{}", process::id()))
        .map_err(|error| cannot("write in", directory, error))?;
    Ok(Lock {
        _file: file,
        _directory: locked,
    })
}

fn patiently(file: &File) -> Result<(), TryLockError> {
    let patience = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < patience => sleep(PAUSE),
            locked => return locked,
        }
    }
}

fn held(directory: &Path, file: File) -> Error {
    let mut pid = String::new();
    // Not known to the operating system that forbids reading it, nor in the first moment.
    let _ = file.take(32).read_to_string(&mut pid);
    let holder = match pid.parse::<u32>() {
        // Or one in another container, where numbers begin anew.
        Ok(pid) if pid == process::id() => {
            format!("process {pid}: this one, or one of that number in another container")
        }
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_owned(),
    };
    let directory = directory.display();
    let message = format!(
        "the data directory {directory} is in use by {holder}; each process needs one of its own"
    );
    Error::storage(message, None)
}

fn cannot(what: &str, directory: &Path, error: io::Error) -> Error {
    let message = format!("cannot {what} the data directory {}", directory.display());
    Error::storage(message, Some(error.into()))
}
