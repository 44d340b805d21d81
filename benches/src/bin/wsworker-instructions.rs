//! Counts the instructions that the main paths take, and compares them with a baseline in a file:
//! unlike time, they are the same on a busy machine. Needs valgrind.
//! Does not count what the kernel does.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use serde::{Deserialize, Serialize};
use wsworker_bench::load::Target;
use wsworker_bench::load::echo::{self, Echo};
use wsworker_bench::load::handshake::{self, Handshake};
use wsworker_bench::load::room::{self, Room};
use wsworker_bench::load::steady::Until;
use wsworker_bench::machine;
use wsworker_bench::server::{Recipe, beside};

/// Counts instructions for each message on the main paths.
#[derive(Parser)]
struct Args {
    /// The baseline.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json"))]
    baseline: PathBuf,
    /// Writes what is counted there, instead of comparing.
    #[arg(long)]
    write: bool,
    /// Only rows whose names hold this.
    #[arg(long)]
    row: Option<String>,
}

/// More than this part over the baseline fails.
const TOLERANCE: f64 = 0.03;

/// A path, and the messages of two runs: what the longer one takes more counts, so that the start
/// and the end do not.
struct Row {
    name: &'static str,
    server: fn() -> Result<Recipe>,
    load: fn(Target, u64) -> Result<()>,
    messages: [u64; 2],
}

const ROWS: &[Row] = &[
    Row {
        name: "echo of 20 B, alone",
        server: echo,
        load: |target, messages| echoes(target, 1, 20, 1, messages),
        messages: [2_000, 12_000],
    },
    Row {
        name: "echo of 125 B, 16 at once",
        server: echo,
        load: |target, messages| echoes(target, 1, 125, 16, messages),
        messages: [16_000, 96_000],
    },
    Row {
        name: "echo of 16 KiB",
        server: echo,
        load: |target, messages| echoes(target, 1, 16 << 10, 1, messages),
        messages: [1_000, 4_000],
    },
    Row {
        name: "opening handshake",
        server: echo,
        load: handshakes,
        messages: [500, 2_500],
    },
    Row {
        name: "an object's echo of 20 B, alone",
        server: || object("bench-object"),
        load: |target, messages| echoes(target, 1, 20, 1, messages),
        messages: [2_000, 12_000],
    },
    Row {
        name: "an object's echo of 125 B, 16 at once",
        server: || object("bench-object"),
        load: |target, messages| echoes(target, 1, 125, 16, messages),
        messages: [16_000, 64_000],
    },
    Row {
        name: "delivery to one of 500 in a room",
        server: || object("bench-room"),
        load: |target, messages| deliveries(target, 1, messages),
        messages: [10_000, 60_000],
    },
    Row {
        name: "delivery to one of 500 in a room, 16 at once",
        server: || object("bench-room"),
        load: |target, messages| deliveries(target, 16, messages),
        messages: [80_000, 800_000],
    },
];

#[derive(Serialize, Deserialize)]
struct Baseline {
    /// Another compiler makes other code: then nothing can be judged.
    rustc: String,
    /// Instructions for each message.
    rows: BTreeMap<String, f64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    machine::raise_open_files(4096)?;
    let mut seen = Baseline {
        rustc: rustc()?,
        rows: BTreeMap::new(),
    };
    let wanted = |row: &&Row| {
        let part = args.row.as_deref();
        part.is_none_or(|part| row.name.contains(part))
    };
    let baseline = match args.write {
        true => None,
        false => Some(read(&args.baseline)?),
    };
    for row in ROWS.iter().filter(wanted) {
        let mut count = row.count().context(row.name)?;
        let before = baseline.as_ref().and_then(|b| b.rows.get(row.name));
        // When events meet differs a little from run to run: the least of three counts.
        for _ in 1..3 {
            if before.is_some_and(|before| count / before - 1.0 > TOLERANCE) {
                count = count.min(row.count().context(row.name)?);
            }
        }
        eprintln!("{count:>9.1}  {}", row.name);
        seen.rows.insert(row.name.to_owned(), count);
    }
    ensure!(!seen.rows.is_empty(), "no row has such a name");
    let Some(baseline) = baseline else {
        let text = serde_json::to_string_pretty(&seen)? + "\n";
        return Ok(fs::write(&args.baseline, text)?);
    };
    compare(&baseline, &seen)
}

fn read(file: &Path) -> Result<Baseline> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// Prints what moved; an error if something has become dearer.
fn compare(baseline: &Baseline, seen: &Baseline) -> Result<()> {
    println!("| instructions each | baseline | now | |\n| --- | ---: | ---: | ---: |");
    let mut dearer = Vec::new();
    for (name, &now) in &seen.rows {
        let Some(&before) = baseline.rows.get(name) else {
            bail!("'{name}' has no baseline; write one with --write");
        };
        let change = now / before - 1.0;
        println!(
            "| {name} | {before:.1} | {now:.1} | {:+.1}% |",
            change * 100.0
        );
        if change > TOLERANCE {
            dearer.push(format!("{name}: {before:.1} before, {now:.1} now"));
        }
    }
    if baseline.rustc != seen.rustc {
        println!(
            "\n*** NOT JUDGED: the baseline is of {}, this is {} ***",
            baseline.rustc, seen.rustc
        );
        return Ok(());
    }
    ensure!(
        dearer.is_empty(),
        "more than {:.0}% dearer: {}",
        TOLERANCE * 100.0,
        dearer.join("; ")
    );
    Ok(())
}

impl Row {
    fn count(&self) -> Result<f64> {
        let [few, many] = self.messages;
        let [less, more] = [self.run(few)?, self.run(many)?];
        ensure!(more > less, "a longer run took fewer instructions");
        let each = (more - less) as f64 / (many - few) as f64;
        // As it is written down.
        Ok((each * 10.0).round() / 10.0)
    }

    /// All instructions of a server that sees so many messages.
    fn run(&self, messages: u64) -> Result<u64> {
        let log = tempfile::NamedTempFile::new()?;
        let server = (self.server)()?.counted(log.path()).start()?;
        (self.load)(server.target(), messages)?;
        server.end()?;
        let log = fs::read_to_string(log.path())?;
        let count = log.lines().find_map(|line| line.split_once("refs:"));
        let (_, count) = count.with_context(|| format!("valgrind counted nothing: {log}"))?;
        Ok(count.trim().replace(',', "").parse()?)
    }
}

fn echo() -> Result<Recipe> {
    Recipe::wsworker("wsworker", &beside("examples/echo"))
}

fn object(program: &str) -> Result<Recipe> {
    Recipe::wsworker("object", &beside(program))
}

fn echoes(target: Target, conns: usize, size: usize, depth: usize, messages: u64) -> Result<()> {
    let echo = Echo {
        conns,
        size,
        depth,
        text: false,
        warm_up: Duration::ZERO,
        until: Until::Messages(messages),
    };
    echo::run(target, echo).map(drop)
}

fn handshakes(target: Target, count: u64) -> Result<()> {
    let handshake = Handshake {
        count: count.try_into()?,
        parallel: 1,
    };
    handshake::run(target, handshake).map(drop)
}

fn deliveries(target: Target, depth: usize, messages: u64) -> Result<()> {
    let room = Room {
        receivers: 500,
        size: 128,
        depth,
        warm_up: Duration::ZERO,
        until: Until::Messages(messages),
    };
    room::run(target, room).map(drop)
}

fn rustc() -> Result<String> {
    let version = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(version.stdout)?.trim().to_owned())
}
