//! How many commits a second `SqliteStorage` makes, against a bare loop that puts the same rows
//! into SQLite in transactions of as many.
//! Measures this machine's disk above all: the ratio counts.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use wsworker::storage::{Batch, ObjectKey, SqliteStorage, Storage};
use wsworker_bench::bare::{Bare, Rows};
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

fn main() -> Result<()> {
    let args = Args::parse();
    println!("group    bare/s    ours/s  ours/bare (least to greatest)");
    for &group in &args.groups {
        let directory = tempfile::tempdir_in(&args.directory)?;
        let mut bare = Bare::open(&directory.path().join("bare.db"))?;
        let ours = Ours::open(&directory.path().join("ours"))?;
        // While one group is being committed the next one gathers.
        let rows = args.rows(2 * group);
        let time = Duration::from_secs_f64(args.seconds);
        let (mut bares, mut oures) = (Vec::new(), Vec::new());
        for _ in 0..args.repetitions {
            bares.push(bare.run(group, rows, time)?);
            oures.push(ours.run(rows, time)?);
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
    ours.run(args.rows(128), Duration::from_secs(1))?;
    for at_once in [1, 16, 64] {
        let rate = ours.read(args.rows(at_once), Duration::from_secs_f64(args.seconds))?;
        println!("{at_once:13} {rate:9.0}");
    }
    Ok(())
}

impl Args {
    fn rows(&self, objects: usize) -> Rows {
        Rows {
            objects,
            keys: 8,
            size: self.size,
        }
    }
}

struct Ours(Arc<SqliteStorage>);

impl Ours {
    fn open(directory: &Path) -> Result<Self> {
        let storage = SqliteStorage::open(directory).map_err(boxed)?;
        Ok(Self(Arc::new(storage)))
    }

    /// Commits a second, each object with one in flight.
    fn run(&self, rows: Rows, time: Duration) -> Result<f64> {
        self.at_once(rows.objects, time, async move |storage, object, count| {
            let mut batch = Batch::default();
            let (key, value) = (rows.key(count).to_vec(), rows.value(count));
            batch.writes.insert(key.into(), Some(value.into()));
            storage.commit(object, batch).await
        })
    }

    /// Values read a second, so many at once.
    fn read(&self, rows: Rows, time: Duration) -> Result<f64> {
        self.at_once(rows.objects, time, async move |storage, object, count| {
            let read = storage.get(object, vec![rows.key(count).to_vec().into()]);
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
    ObjectKey {
        class: "bench".into(),
        id: Rows::object(number),
    }
}
