//! How many commits a second `SqliteStorage` makes, against a bare loop that puts the same rows
//! into SQLite in transactions of as many.
//! Measures this machine's disk above all: the ratio counts.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use rusqlite::{Connection, params};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use wsworker::storage::{Batch, ObjectKey, SqliteStorage, Storage};
use wsworker_bench::stats::Spread;

/// Compares commits a second, a row each, in groups of several sizes.
#[derive(Parser)]
struct Args {
    /// Commits that are made as one.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    groups: Vec<usize>,
    /// Bytes of a row's value.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// How long each of the two runs, in each repetition.
    #[arg(long, default_value_t = 0.4)]
    seconds: f64,
    /// How often the two take turns.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Where the databases go: a disk's file system.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
}

/// Each object writes these keys in turn.
const KEYS: u64 = 8;

fn main() -> Result<()> {
    let args = Args::parse();
    println!("group    bare/s    ours/s  ours/bare (least to greatest)");
    for &group in &args.groups {
        let directory = tempfile::tempdir_in(&args.directory)?;
        let mut bare = Bare::open(&directory.path().join("bare.db"))?;
        let ours = Ours::open(&directory.path().join("ours"))?;
        let time = Duration::from_secs_f64(args.seconds);
        let (mut bares, mut oures) = (Vec::new(), Vec::new());
        for _ in 0..args.repetitions {
            bares.push(bare.run(group, args.size, time)?);
            oures.push(ours.run(group, args.size, time)?);
        }
        let ratio = Spread::of_ratios(&oures, &bares).context("no repetition")?;
        let median = |rates| Spread::of(rates).map_or(0.0, |spread: Spread| spread.median);
        println!(
            "{group:5} {:9.0} {:9.0}  {:9.2} ({:.2} to {:.2})",
            median(bares),
            median(oures),
            ratio.median,
            ratio.min,
            ratio.max
        );
    }
    println!("reads at once    ours/s");
    let directory = tempfile::tempdir_in(&args.directory)?;
    let ours = Ours::open(directory.path())?;
    ours.run(64, args.size, Duration::from_secs(1))?;
    for at_once in [1, 16, 64] {
        let rate = ours.read(at_once, Duration::from_secs_f64(args.seconds))?;
        println!("{at_once:13} {rate:9.0}");
    }
    Ok(())
}

/// A loop of transactions.
struct Bare {
    connection: Connection,
    count: u64,
}

impl Bare {
    fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE entries (
                 class INTEGER NOT NULL, object BLOB NOT NULL, key BLOB NOT NULL,
                 value BLOB NOT NULL, PRIMARY KEY (class, object, key)
             ) STRICT, WITHOUT ROWID;",
        )?;
        let count = 0;
        Ok(Self { connection, count })
    }

    /// Rows a second.
    fn run(&mut self, group: usize, size: usize, time: Duration) -> Result<f64> {
        let objects: Vec<_> = (0..2 * group).map(object).collect();
        let (started, before) = (Instant::now(), self.count);
        while started.elapsed() < time {
            let transaction = self.connection.transaction()?;
            let mut put =
                transaction.prepare_cached("REPLACE INTO entries VALUES (1, ?1, ?2, ?3)")?;
            for _ in 0..group {
                let object = &objects[self.count as usize % objects.len()];
                let key = key(self.count / objects.len() as u64);
                let value = value(size, self.count);
                put.execute(params![object.id, &key[..], value])?;
                self.count += 1;
            }
            drop(put);
            transaction.commit()?;
        }
        Ok((self.count - before) as f64 / started.elapsed().as_secs_f64())
    }
}

struct Ours(Arc<SqliteStorage>);

impl Ours {
    fn open(directory: &Path) -> Result<Self> {
        let storage = SqliteStorage::open(directory).map_err(boxed)?;
        Ok(Self(Arc::new(storage)))
    }

    /// Commits a second, by twice as many objects as a group has, each with one in flight:
    /// while one group is being committed the next one gathers.
    fn run(&self, group: usize, size: usize, time: Duration) -> Result<f64> {
        self.at_once(2 * group, time, async move |storage, object, count| {
            let mut batch = Batch::default();
            let value = value(size, count).into();
            batch.writes.insert(key(count).to_vec().into(), Some(value));
            storage.commit(object, batch).await
        })
    }

    /// Values read a second, so many at once.
    fn read(&self, at_once: usize, time: Duration) -> Result<f64> {
        self.at_once(at_once, time, async |storage, object, count| {
            let read = storage.get(object, vec![key(count).to_vec().into()]);
            read.await.map(drop)
        })
    }

    fn at_once<F>(&self, tasks: usize, time: Duration, call: F) -> Result<f64>
    where
        F: AsyncFn(&SqliteStorage, &ObjectKey, u64) -> wsworker::Result<()> + Clone + 'static,
    {
        let runtime = Builder::new_current_thread().build()?;
        let local = LocalSet::new();
        let started = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|number| {
                let (storage, call) = (Arc::clone(&self.0), call.clone());
                local.spawn_local(async move {
                    let object = object(number);
                    let mut count = 0;
                    while started.elapsed() < time {
                        call(&storage, &object, count).await?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let mut count = 0;
        for task in tasks {
            let done: wsworker::Result<u64> = local.block_on(&runtime, task)?;
            count += done.map_err(boxed)?;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }
}

fn boxed(error: wsworker::Error) -> anyhow::Error {
    anyhow::Error::from_boxed(error.into_std())
}

fn object(number: usize) -> ObjectKey {
    let mut id = [0x5a; 32];
    // Ids are hashes: neighbours lie apart.
    id[..8].copy_from_slice(
        &(number as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes(),
    );
    ObjectKey {
        class: "bench".into(),
        id,
    }
}

fn key(count: u64) -> [u8; 8] {
    (count % KEYS).to_be_bytes()
}

/// Never the same as before: SQLite does not write a row that is.
fn value(size: usize, count: u64) -> Vec<u8> {
    let count = count.to_be_bytes();
    count
        .into_iter()
        .cycle()
        .take(size.max(count.len()))
        .collect()
}
