//! What is wrong with a directory or a file is said when it is opened.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::tempdir;

use super::{SqliteStorage, keys, object, put};
use crate::storage::Storage;
use crate::storage::sqlite::own::Owns;

#[track_caller]
fn refused(directory: &Path) -> String {
    let error = SqliteStorage::open(directory).err().expect("it opened");
    assert!(error.is_storage(), "{error}");
    error.to_string()
}

/// A directory with such a database in it.
fn with_database(sql: &str) -> tempfile::TempDir {
    let directory = tempdir().unwrap();
    let database = Connection::open(directory.path().join("objects.db")).unwrap();
    database.execute_batch(sql).unwrap();
    directory
}

#[tokio::test]
async fn makes_what_is_not_there() {
    let directory = tempdir().unwrap();
    let directory = directory.path().join("a/b");
    let storage = SqliteStorage::open(&directory).unwrap();
    storage
        .commit(&object(1), put("key", "value"))
        .await
        .unwrap();
    drop(storage);
    let storage = SqliteStorage::open(&directory).unwrap();
    assert_eq!(keys(&storage, 1).await, ["key"]);
}

#[tokio::test]
async fn a_store_that_lost_its_name_is_not_begun_anew() {
    let directory = tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let storage = SqliteStorage::open(directory.path()).unwrap();
    storage.commit(&object(1), put("key", "")).await.unwrap();
    storage.backup(path("monday.db")).await.unwrap();
    drop(storage);
    // The copy beside it is not looked at.
    SqliteStorage::open(directory.path()).unwrap();
    fs::remove_file(path("objects.db")).unwrap();
    let (wanted, other) = (path("objects.db"), path("monday.db"));
    let wanted = format!("no {}, but {}", wanted.display(), other.display());
    let error = refused(directory.path());
    assert!(error.contains(&wanted), "{error}");
    assert!(error.contains("rename a copy to objects.db"), "{error}");
    fs::rename(path("monday.db"), path("objects.db")).unwrap();
    let storage = SqliteStorage::open(directory.path()).unwrap();
    assert_eq!(keys(&storage, 1).await, ["key"]);
}

#[test]
fn parts_of_a_store_without_its_database_are_not_begun_anew() {
    let objects = format!("objects/Room/{}.db", "0a".repeat(32));
    for part in ["objects.db-wal", &objects] {
        let directory = tempdir().unwrap();
        let path = directory.path().join(part);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "something").unwrap();
        let error = refused(directory.path());
        assert!(error.contains("which is part of such a store"), "{error}");
    }
}

#[test]
fn what_is_no_stores_does_not_matter() {
    let directory = with_database("CREATE TABLE notes (text)");
    let path = |name: &str| directory.path().join(name);
    fs::rename(path("objects.db"), path("notes.db")).unwrap();
    fs::write(path("readme.txt"), "short").unwrap();
    fs::write(path(".objects-backup-1"), "begun").unwrap();
    fs::create_dir_all(path("objects/tables")).unwrap();
    fs::write(path("objects/.hidden"), "").unwrap();
    fs::write(path("objects/tables/round.db"), "").unwrap();
    SqliteStorage::open(directory.path()).unwrap();
}

#[tokio::test]
async fn a_directory_serves_one_at_a_time() {
    let directory = tempdir().unwrap();
    let first = SqliteStorage::open(directory.path()).unwrap();
    let error = refused(directory.path());
    let pid = std::process::id();
    let wanted = format!("{} is in use by process {pid}", directory.path().display());
    assert!(error.contains(&wanted), "{error}");
    first.commit(&object(1), put("still", "")).await.unwrap();
    drop(first);
    SqliteStorage::open(directory.path()).unwrap();
}

#[test]
fn a_directory_that_is_let_go_in_a_moment_is_waited_for() {
    let directory = tempdir().unwrap();
    let held = crate::storage::sqlite::lock::lock(directory.path()).unwrap();
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        drop(held);
    });
    SqliteStorage::open(directory.path()).unwrap();
    holder.join().unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_serves_one_at_a_time_though_its_lock_file_is_removed() {
    let directory = tempdir().unwrap();
    let first = SqliteStorage::open(directory.path()).unwrap();
    fs::remove_file(directory.path().join("objects.lock")).unwrap();
    let error = refused(directory.path());
    assert!(error.contains("is in use by another process"), "{error}");
    drop(first);
    SqliteStorage::open(directory.path()).unwrap();
}

#[test]
fn the_lock_of_another_process_is_told_apart() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("objects.lock");
    for (content, wanted) in [("17", "by process 17;"), ("", "by another process;")] {
        fs::write(&path, content).unwrap();
        let theirs = fs::File::open(&path).unwrap();
        theirs.lock().unwrap();
        let error = refused(directory.path());
        assert!(error.contains(wanted), "{error}");
    }
    // Its holder is gone.
    SqliteStorage::open(directory.path()).unwrap();
}

#[test]
fn a_file_that_is_no_database() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("objects.db");
    fs::write(&file, "Dear diary, ".repeat(1000)).unwrap();
    let error = refused(directory.path());
    let wanted = format!("{} is no SQLite database", file.display());
    assert!(error.starts_with(&wanted), "{error}");
    assert!(fs::read(&file).unwrap().starts_with(b"Dear diary"));
}

#[test]
fn a_database_of_another_application() {
    let directory = with_database("CREATE TABLE songs (name)");
    let file = directory.path().join("objects.db");
    let before = fs::read(&file).unwrap();
    let error = refused(directory.path());
    assert!(
        error.contains("belongs to another application: its id is 0x0"),
        "{error}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);

    let directory = with_database("PRAGMA application_id = 0x1234; CREATE TABLE songs (name)");
    let error = refused(directory.path());
    assert!(
        error.contains("its id is 0x1234, and not 0x77736f62"),
        "{error}"
    );
}

#[test]
fn a_database_of_a_newer_version() {
    let directory = tempdir().unwrap();
    drop(SqliteStorage::open(directory.path()).unwrap());
    let file = directory.path().join("objects.db");
    let database = Connection::open(file).unwrap();
    database.pragma_update(None, "user_version", 7).unwrap();
    drop(database);
    let error = refused(directory.path());
    let wanted = "was written by a newer version: schema 7, this one knows 1";
    assert!(error.ends_with(wanted), "{error}");
}

#[test]
fn a_database_without_a_table() {
    let directory = tempdir().unwrap();
    drop(SqliteStorage::open(directory.path()).unwrap());
    let database = Connection::open(directory.path().join("objects.db")).unwrap();
    database.execute_batch("DROP TABLE alarms").unwrap();
    drop(database);
    let error = refused(directory.path());
    assert!(error.contains("no such table: alarms"), "{error}");
}

#[tokio::test]
async fn a_database_that_is_cut_off() {
    let directory = tempdir().unwrap();
    let storage = SqliteStorage::open(directory.path()).unwrap();
    storage
        .commit(&object(1), put("key", vec![1; 100_000]))
        .await
        .unwrap();
    drop(storage);
    let file = fs::File::options()
        .write(true)
        .open(directory.path().join("objects.db"));
    file.unwrap().set_len(40_000).unwrap();
    let error = refused(directory.path());
    assert!(error.contains("objects.db is damaged"), "{error}");
}

#[tokio::test]
async fn a_damaged_page_is_an_error_of_who_needs_it() {
    let directory = tempdir().unwrap();
    let storage = SqliteStorage::open(directory.path()).unwrap();
    for number in 1..100 {
        storage
            .commit(&object(number), put("key", vec![number; 500]))
            .await
            .unwrap();
    }
    drop(storage);
    let file = directory.path().join("objects.db");
    let mut content = fs::read(&file).unwrap();
    let of_50 = content
        .windows(500)
        .position(|part| part == [50; 500])
        .unwrap();
    let page = of_50 / 4096 * 4096;
    content[page..page + 4096].fill(0xab);
    fs::write(&file, content).unwrap();

    let storage = SqliteStorage::open(directory.path()).unwrap();
    let error = storage
        .get(&object(50), vec!["key".into()])
        .await
        .unwrap_err();
    assert!(error.is_storage(), "{error}");
    assert!(
        error.to_string().contains("objects.db is damaged"),
        "{error}"
    );
    let error = storage
        .commit(&object(50), put("key", ""))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("objects.db is damaged"),
        "{error}"
    );
    assert_eq!(keys(&storage, 99).await, ["key"]);
    storage.commit(&object(99), put("other", "")).await.unwrap();
}

#[test]
fn a_directory_that_cannot_be_made() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(&file.join("data"));
    assert!(
        error.starts_with("cannot create the data directory"),
        "{error}"
    );
    let error = refused(&file);
    assert!(
        error.starts_with("cannot create the data directory"),
        "{error}"
    );
}

/// Not for root either.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written() {
    let error = refused(Path::new("/proc/self"));
    assert!(
        error.starts_with("cannot write in the data directory /proc/self: "),
        "{error}"
    );
}

#[tokio::test]
async fn only_so_many_databases_of_objects_are_open_at_once() {
    let directory = tempdir().unwrap();
    let mut storage = SqliteStorage::open(directory.path()).unwrap();
    storage.owns = Owns::with_room(&storage.place, 2).unwrap();
    let first = storage.open_database(&object(1)).await.unwrap();
    let _second = storage.open_database(&object(2)).await.unwrap();
    let error = storage.open_database(&object(3)).await.err().unwrap();
    assert!(error.is_overloaded(), "{error}");
    assert_eq!(
        error.to_string(),
        "2 databases of objects are open, the limit"
    );
    drop(first);
    // It is closed on another thread.
    while storage.open_database(&object(3)).await.is_err() {
        tokio::task::yield_now().await;
    }
}
