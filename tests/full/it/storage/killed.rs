//! A process that is killed while it commits: what had returned is there, nothing in
//! part, and of each object at most the one commit that was on its way.
//! A loss of power is not tried: the operating system goes on, and writes what it has.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tempfile::tempdir;
use wsworker::storage::SqliteStorage;

#[path = "written.rs"]
mod written;

use written::{OBJECTS, OWNS, check, check_own, object};

const ROUNDS: u32 = 30;

#[tokio::test]
async fn what_had_returned_outlives_a_kill() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let directory = tempdir().unwrap();
    let mut returned = [0; (OBJECTS + OWNS) as usize];
    let mut unchecked = 0;
    for round in 0..ROUNDS {
        let mut writer = start(directory.path());
        // It opens the log that the last one left, within that time or not.
        thread::sleep(Duration::from_millis(random.random_range(5..100)));
        writer.kill().unwrap();
        let mut said = String::new();
        writer
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        writer.wait().unwrap();
        for line in said.lines() {
            let (object, n) = line.split_once(' ').unwrap();
            returned[object.parse::<usize>().unwrap()] = n.parse::<u32>().unwrap();
        }
        // Else the next one opens what two have left.
        unchecked += 1;
        if random.random() && round + 1 < ROUNDS {
            continue;
        }
        let storage = SqliteStorage::open(directory.path()).unwrap();
        for (number, returned) in (0..OBJECTS + OWNS).zip(&mut returned) {
            let count = match number < OBJECTS {
                true => check(&storage, &object(number)).await,
                false => check_own(&storage, &object(number)).await,
            };
            let wanted = *returned..=*returned + unchecked;
            assert!(
                wanted.contains(&count),
                "round {round}: {count}, wanted {wanted:?}"
            );
            *returned = count;
        }
        unchecked = 0;
    }
    println!("{} commits", returned.iter().sum::<u32>());
    assert!(returned.iter().sum::<u32>() > 1000);
    let owns = &returned[usize::from(OBJECTS)..];
    assert!(owns.iter().all(|count| *count > 0), "{owns:?}");
}

#[test]
fn a_directory_in_use_is_told_with_the_process() {
    let directory = tempdir().unwrap();
    let mut writer = start(directory.path());
    // It has opened it when it has committed.
    writer
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0])
        .unwrap();
    let error = SqliteStorage::open(directory.path())
        .err()
        .unwrap()
        .to_string();
    let (path, pid) = (directory.path().display(), writer.id());
    let wanted = format!(
        "the data directory {path} is in use by process {pid}; each process needs one of its own"
    );
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(error, wanted);
    SqliteStorage::open(directory.path()).unwrap();
}

fn start(directory: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_storage-writer"))
        .arg(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
