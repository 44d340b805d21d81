//! What a message costs by the number of connections, members, bytes, objects and threads: curves with
//! goals.
//! Does not touch servers that run already: it starts its own and ends them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use wsworker_bench::growth::curve::Curve;
use wsworker_bench::growth::loads::Plan;
use wsworker_bench::growth::{chart, cores, loads, objects, report};
use wsworker_bench::rows;
use wsworker_bench::sampling::Sampling;
use wsworker_bench::server::{Recipe, beside};
use wsworker_bench::suite::description::Machine;

/// Measures how wsworker's costs grow, and sets each curve beside its goal.
#[derive(Parser)]
struct Args {
    /// Only these rows, separated by commas: connections, rooms, sizes, objects, cores.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Repetitions; every point once in each.
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Length of one sample.
    #[arg(long, default_value_t = 0.7)]
    seconds: f64,
    /// How often a sample is taken, at most, while something else is running.
    #[arg(long, default_value_t = 2)]
    tries: usize,
    /// Where the databases go for a while: a disk's file system.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Print one line of JSON, with every sample, in place of the table.
    #[arg(long)]
    json: bool,
    /// Write `growth.md`, `growth.json` and a chart for each row into this directory too.
    #[arg(long)]
    results: Option<PathBuf>,
}

/// The rows, each with its chart's title.
const ROWS: [(&str, &str); 5] = [
    ("connections", "CPU by connections"),
    ("rooms", "CPU by members of a room"),
    ("sizes", "CPU by size of a message"),
    ("objects", "Storage by objects in it"),
    (
        "cores",
        "Full load by threads of the server; the load shares the cores",
    ),
];

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        !cfg!(debug_assertions),
        "the load must be built for release: `cargo run --release -p wsworker-bench --bin wsworker-growth`"
    );
    ensure!(
        args.repetitions > 0 && args.tries > 0,
        "nothing is to be measured"
    );
    let names = ROWS.map(|(name, _)| name);
    let machine = Machine::read()?;
    let mut curves = Vec::new();
    for row in rows::choose(&names, &args.rows)? {
        eprintln!("{row}");
        curves.extend(args.measure(row)?);
    }
    let json = report::json(&machine, &curves);
    let markdown = report::markdown(&machine, &curves);
    if let Some(directory) = &args.results {
        write(directory, "growth.md", &markdown)?;
        write(
            directory,
            "growth.json",
            &serde_json::to_string_pretty(&json)?,
        )?;
        for (row, title) in ROWS {
            let of_row = curves.iter().filter(|curve| curve.axes.row == row);
            let of_row: Vec<Curve> = of_row.cloned().collect();
            if !of_row.is_empty() {
                let file = format!("growth-{row}.svg");
                write(directory, &file, &chart::svg(title, &of_row))?;
            }
        }
    }
    print(&match args.json {
        true => json.to_string() + "\n",
        false => markdown,
    })
}

impl Args {
    fn measure(&self, row: &str) -> Result<Vec<Curve>> {
        let plan = Plan {
            repetitions: self.repetitions,
            sampling: Sampling {
                seconds: self.seconds,
                tries: self.tries,
            },
        };
        let echo = || Recipe::wsworker("wsworker", &beside("examples/echo"));
        match row {
            "connections" => loads::connections(plan, &echo()?),
            "rooms" => loads::rooms(plan, &Recipe::wsworker("wsworker", &beside("bench-room"))?),
            "sizes" => loads::sizes(plan, &echo()?),
            "objects" => objects::objects(self.repetitions, self.seconds, &self.directory),
            _ => cores::cores(plan, &echo()?),
        }
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<()> {
    let path = directory.join(name);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("writing {}", path.display()))
}

fn print(text: &str) -> Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
