//! Commits until it is killed, and says of each commit that it has returned.
//! What it writes is in `killed.rs`, which looks for it.

use std::io::Write;
use std::sync::Arc;

use tokio::task::JoinSet;
use wsworker::storage::{SqliteStorage, Storage};

#[path = "written.rs"]
mod written;

use written::{OBJECTS, OWNS, batch, count, count_own, object, sql};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = std::env::args().nth(1).expect("a directory");
    let storage = Arc::new(SqliteStorage::open(directory).unwrap());
    let mut tasks = JoinSet::new();
    for number in 0..OBJECTS {
        let storage = Arc::clone(&storage);
        tasks.spawn(async move {
            let object = object(number);
            let mut n = count(&*storage, &object).await;
            loop {
                n += 1;
                storage.commit(&object, batch(n)).await.unwrap();
                // A line is one write: it is there whole or not.
                let line = format!("{number} {n}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    for number in OBJECTS..OBJECTS + OWNS {
        let storage = Arc::clone(&storage);
        tasks.spawn(async move {
            let database = storage.open_database(&object(number)).await.unwrap();
            let mut n = count_own(&*database).await;
            let create = "CREATE TABLE IF NOT EXISTS commits (n)";
            database.query(sql(create, vec![])).await.unwrap();
            loop {
                n += 1;
                let insert = sql("INSERT INTO commits VALUES (?1)", vec![n.into()]);
                database.query(insert).await.unwrap();
                database.commit(batch(n)).await.unwrap();
                let line = format!("{number} {n}\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    // None ends but by a panic.
    tasks.join_next().await.unwrap().unwrap();
}
