//! How many durable increments a second Durable Objects make, over WebSockets, against a bare loop
//! that puts the same rows into SQLite.
//! Measures this machine's disk above all: the ratio counts.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use wsworker_bench::bare::{Bare, Rows};
use wsworker_bench::load::increments::{Generator, Increments};
use wsworker_bench::server::{Recipe, beside};
use wsworker_bench::stats::Spread;

/// Compares durable increments a second with bare commits of the same rows.
#[derive(Parser)]
struct Args {
    /// How long each of the two runs, in each repetition.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    /// How often the two take turns.
    #[arg(long, default_value_t = 7)]
    repetitions: usize,
    /// Where the databases go: a disk's file system.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The counters' server [default: bench-counter beside this program].
    #[arg(long)]
    counter: Option<PathBuf>,
}

/// Who counts, and how many rows the bare loop puts into a transaction.
const ROWS: [(Increments, usize); 3] = [
    // While one group is being committed the next one gathers: half of what is in flight each.
    (increments(64, 1_000, 16), 512),
    (increments(1, 1, 1), 1),
    (increments(64, 1, 1), 1),
];

const fn increments(conns: usize, counters: usize, depth: usize) -> Increments {
    Increments {
        conns,
        counters,
        depth,
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.repetitions > 0, "nothing is to be measured");
    println!(
        "objects  connections  in flight  group    bare/s    ours/s  ours/bare (least to greatest)"
    );
    for (increments, group) in ROWS {
        args.measure(increments, group)?;
    }
    Ok(())
}

impl Args {
    fn measure(&self, increments: Increments, group: usize) -> Result<()> {
        let program = self.counter.clone();
        let program = program.unwrap_or_else(|| beside("bench-counter"));
        let recipe = Recipe::wsworker("counter", &program)?;
        let server = recipe.in_directory(&self.directory).unpinned().start()?;
        let mut ours = Generator::connect(server.target(), increments)?;

        let directory = tempfile::tempdir_in(&self.directory)?;
        let mut bare = Bare::open(&directory.path().join("bare.db"))?;
        let rows = Rows {
            objects: increments.counters,
            keys: 1,
            size: 8,
        };

        let time = Duration::from_secs_f64(self.seconds);
        // Each row and object is there before anything is measured.
        bare.run(group, rows, time)?;
        ours.run(time)?;
        let (mut bares, mut oures) = (Vec::new(), Vec::new());
        for _ in 0..self.repetitions {
            bares.push(bare.run(group, rows, time)?);
            oures.push(ours.run(time)?);
        }
        let ratio = Spread::of_ratios(&oures, &bares).context("no repetition")?;
        let median = |rates| Spread::of(rates).map_or(0.0, |spread: Spread| spread.median);
        println!(
            "{:7} {:12} {:10} {group:6} {:9.0} {:9.0}  {:9.2} ({:.2} to {:.2})",
            increments.counters,
            increments.conns,
            increments.depth,
            median(bares),
            median(oures),
            ratio.median,
            ratio.min,
            ratio.max
        );
        Ok(())
    }
}
