//! The whole comparison in one command: builds wsworker and its peers, runs them all, writes tables and
//! charts.
//! Does not touch servers that run already: it starts its own and ends them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use wsworker_bench::durable::Turns;
use wsworker_bench::machine;
use wsworker_bench::rows::{self, MOST_CONNS, ROWS, Row};
use wsworker_bench::sampling::Sampling;
use wsworker_bench::server::Recipe;
use wsworker_bench::suite::build::Built;
use wsworker_bench::suite::charts;
use wsworker_bench::suite::contenders::{self, Contender};
use wsworker_bench::suite::report::Results;
use wsworker_bench::suite::run::{self, Plan};

/// Builds wsworker and its peers, compares them on this machine, and writes results.json, results.md
/// and charts.
#[derive(Parser)]
struct Args {
    /// The important rows alone, and short samples: less than five minutes.
    #[arg(long)]
    quick: bool,
    /// Only these rows, separated by commas; where no row has the name, all that hold it. `memory` and
    /// `durable` are rows too.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Only these servers, separated by commas; where none has the name, all that hold it.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// Repetitions; every row of every server once in each [default: 7, quick 3].
    #[arg(long)]
    repetitions: Option<usize>,
    /// Length of one sample [default: 2, quick 0.4].
    #[arg(long)]
    seconds: Option<f64>,
    /// How often a sample is taken, at most, while something else is running.
    #[arg(long, default_value_t = 3)]
    tries: usize,
    /// Where `npm install bun deno workerd ws` was run; the peers that are not there are left out.
    #[arg(long, default_value = ".")]
    npm: PathBuf,
    /// Where the results go; it is made, and files of earlier results are overwritten.
    #[arg(long, default_value = "target/suite")]
    results: PathBuf,
    /// Where the databases of durable increments go for a while: a disk's file system.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
}

/// Rows that are no load of `rows`.
const MEMORY: &str = "memory";
const DURABLE: &str = "durable";

/// Connections that are idle, for the memory of each.
const IDLE: usize = 5_000;

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        !cfg!(debug_assertions),
        "the load must be built for release: `cargo run --release -p wsworker-bench --bin wsworker-suite`"
    );
    let (repetitions, seconds) = match args.quick {
        true => (3, 0.4),
        false => (7, 2.0),
    };
    let repetitions = args.repetitions.unwrap_or(repetitions);
    ensure!(
        repetitions > 0 && args.tries > 0,
        "nothing is to be measured"
    );
    let chosen = args.rows()?;
    let built = Built::all()?;
    let contenders = args.contenders(&built)?;
    let counter = Recipe::wsworker("counter", built.path("bench-counter")?)?;
    // Both the load and, by inheritance, the servers: workerd has two for each connection.
    let files = MOST_CONNS as u64 + 512;
    machine::raise_open_files(2 * files).or_else(|_| machine::raise_open_files(files))?;

    let durable = Turns {
        seconds: if args.quick { 0.3 } else { 0.5 },
        repetitions,
        directory: &args.directory,
    };
    let is_chosen = |row: &Row| chosen.contains(&row.name);
    let plan = Plan {
        rows: ROWS.into_iter().filter(is_chosen).collect(),
        repetitions,
        sampling: Sampling {
            seconds: args.seconds.unwrap_or(seconds),
            tries: args.tries,
        },
        idle: chosen.contains(&MEMORY).then_some(IDLE),
        durable: chosen.contains(&DURABLE).then_some((&counter, durable)),
    };
    let results = run::run(&plan, &contenders)?;
    write(&results, &args.results)?;
    results.check()
}

impl Args {
    /// The names of the rows that are to be measured.
    fn rows(&self) -> Result<Vec<&'static str>> {
        let all = ROWS.iter().filter(|row| row.in_suite());
        // What is asked for by name need not be quick.
        let quick = |row: &&Row| !self.quick || !self.rows.is_empty() || row.quick;
        let names = all.filter(quick).map(|row| row.name);
        let names: Vec<_> = names.chain([MEMORY, DURABLE]).collect();
        rows::choose(&names, &self.rows)
    }

    fn contenders(&self, built: &Built) -> Result<Vec<Contender>> {
        let all = contenders::all(built, &self.npm)?;
        let names: Vec<_> = all.iter().map(|c| c.recipe.name.to_lowercase()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let wanted: Vec<_> = self
            .servers
            .iter()
            .map(|name| name.to_lowercase())
            .collect();
        let chosen = rows::choose(&names, &wanted)?;
        let is_chosen = |c: &Contender| chosen.contains(&c.recipe.name.to_lowercase().as_str());
        Ok(all.into_iter().filter(is_chosen).collect())
    }
}

fn write(results: &Results, directory: &Path) -> Result<()> {
    let charts = charts::of(results);
    let names: Vec<_> = charts.iter().map(|(name, _)| *name).collect();
    let json = serde_json::to_string_pretty(&results.json())?;
    let mut files = vec![
        ("results.json", json),
        ("results.md", results.markdown(&names)),
    ];
    files.extend(charts.iter().map(|(name, chart)| (*name, chart.svg())));

    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    for (name, text) in files {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    eprintln!(
        "The results are in {}.",
        directory.join("results.md").display()
    );
    Ok(())
}
