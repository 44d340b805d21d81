//! How many durable increments a second Durable Objects make, over WebSockets, against a bare loop
//! that puts the same rows into SQLite.
//! Measures this machine's disk above all: the ratio counts.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use wsworker_bench::durable::{self, COUNTINGS, Report, Turns};
use wsworker_bench::server::{Recipe, beside};

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

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(args.repetitions > 0, "nothing is to be measured");
    let program = args.counter.unwrap_or_else(|| beside("bench-counter"));
    let counter = Recipe::wsworker("counter", &program)?;
    let turns = Turns {
        seconds: args.seconds,
        repetitions: args.repetitions,
        directory: &args.directory,
    };
    println!(
        "objects  connections  in flight  group    bare/s    ours/s  ours/bare (least to greatest)"
    );
    for counting in COUNTINGS {
        print(&durable::measure(&counter, counting, turns)?);
    }
    Ok(())
}

fn print(report: &Report) {
    let Report {
        counting,
        ours,
        bare,
        ratio,
    } = report;
    println!(
        "{:7} {:12} {:10} {:6} {:9.0} {:9.0}  {:9.2} ({:.2} to {:.2})",
        counting.counters,
        counting.conns,
        counting.depth,
        counting.group,
        bare.median,
        ours.median,
        ratio.median,
        ratio.min,
        ratio.max
    );
}
