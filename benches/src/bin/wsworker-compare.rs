//! Runs wsworker's echo and its peers side by side and prints a table of CPU time for each message.
//! Does not touch servers that run already: it starts its own and ends them.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::{Parser, ValueEnum};
use serde_json::json;
use wsworker_bench::comparison::{Comparison, ROWS, Row, Sample};
use wsworker_bench::machine::{self, Quiet};
use wsworker_bench::server::{Kind, Recipe, Server, beside};

/// A sample taken while others used more than this part of a core is taken again.
const DISTURBED: f64 = 0.05;

/// Compares wsworker's echo with its peers: server CPU for each message, paired ratios.
#[derive(Parser)]
struct Args {
    /// Repetitions; every row of every server once in each.
    #[arg(long, default_value_t = 5)]
    repetitions: usize,
    /// Length of one sample.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only these rows, separated by commas; where no row has the name, all that hold it.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// The servers, separated by commas; the first is compared with each of the others.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "wsworker,fastwebsockets,bun,workerd"
    )]
    servers: Vec<Name>,
    /// wsworker's echo example [default: examples/echo beside this program].
    #[arg(long)]
    echo: Option<PathBuf>,
    /// wsworker's server with objects [default: beside this program].
    #[arg(long)]
    objects: Option<PathBuf>,
    /// wsworker's proxy example [default: examples/proxy beside this program].
    #[arg(long)]
    proxy: Option<PathBuf>,
    /// The fastwebsockets peer [default: beside this program].
    #[arg(long)]
    fastwebsockets: Option<PathBuf>,
    /// The Bun program.
    #[arg(long, default_value = "bun")]
    bun: PathBuf,
    /// The workerd program.
    #[arg(long, default_value = "workerd")]
    workerd: PathBuf,
    /// How often a sample is taken, at most, while something else is running.
    #[arg(long, default_value_t = 3)]
    tries: usize,
    /// Prints samples and summary as one JSON line instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Name {
    Wsworker,
    Fastwebsockets,
    Bun,
    /// The proxy example in front of the echo example; its own CPU time for each round trip.
    Proxy,
    /// A Durable Object's echo.
    Object,
    /// Its room is a Durable Object; it is left out of all other rows.
    Workerd,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        args.repetitions > 0 && args.tries > 0,
        "nothing is to be measured"
    );
    let rows = args.rows()?;
    machine::raise_open_files(4096)?;
    let servers: Vec<Server> = args
        .recipes(&rows)?
        .iter()
        .map(Recipe::start)
        .collect::<Result<_>>()?;
    let mut names: Vec<_> = servers.iter().map(|s| s.name).collect();
    names.dedup();
    let mut comparison = Comparison {
        servers: names,
        rows,
        samples: Vec::new(),
    };

    for repetition in 0..args.repetitions {
        for row in comparison.rows.clone() {
            let servers: Vec<_> = servers.iter().filter(|s| s.kind == row.kind()).collect();
            // Another server goes first each time: none is always the one after a big load.
            for nth in 0..servers.len() {
                let server = servers[(nth + repetition) % servers.len()];
                let sample = args.sample(row, server, repetition)?;
                eprintln!(
                    "{}/{} {:<10} {:<15} {:>8.2} µs {:>10.0}/s  others {:.0}%",
                    repetition + 1,
                    args.repetitions,
                    sample.row,
                    sample.server,
                    sample.cpu_us,
                    sample.per_second,
                    sample.others * 100.0
                );
                comparison.samples.push(sample);
            }
        }
    }
    args.report(&comparison);
    Ok(())
}

impl Args {
    fn rows(&self) -> Result<Vec<Row>> {
        if self.rows.is_empty() {
            return Ok(ROWS.to_vec());
        }
        let mut chosen = Vec::new();
        for wanted in &self.rows {
            let exact = ROWS.iter().any(|row| row.name == wanted);
            let matches = |row: &&Row| match exact {
                true => row.name == wanted,
                false => row.name.contains(wanted.as_str()),
            };
            let before = chosen.len();
            chosen.extend(ROWS.iter().filter(matches));
            if chosen.len() == before {
                let known: Vec<_> = ROWS.iter().map(|row| row.name).collect();
                bail!("no row is named '{wanted}'; expected some of {known:?}");
            }
        }
        Ok(chosen)
    }

    /// The servers that the rows need: where one is asked for all kinds, those of a name together.
    fn recipes(&self, rows: &[Row]) -> Result<Vec<Recipe>> {
        let path = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| beside(name));
        let echo = || Recipe::wsworker("wsworker", &path(&self.echo, "examples/echo"));
        let objects = path(&self.objects, "bench-objects");
        let mut recipes = Vec::new();
        for name in &self.servers {
            for kind in [Kind::Echo, Kind::Room] {
                if rows.iter().all(|row| row.kind() != kind) {
                    continue;
                }
                match (name, kind) {
                    (Name::Wsworker, Kind::Echo) => recipes.push(echo()?),
                    (Name::Wsworker, Kind::Room) => {
                        recipes.push(Recipe::object("wsworker", kind, &objects)?);
                    }
                    (Name::Object, Kind::Echo) => {
                        recipes.push(Recipe::object("object", kind, &objects)?);
                    }
                    (Name::Proxy, Kind::Echo) => {
                        let program = path(&self.proxy, "examples/proxy");
                        recipes.push(Recipe::proxy("proxy", &program, echo()?)?);
                    }
                    (Name::Fastwebsockets, Kind::Echo) => {
                        let program = path(&self.fastwebsockets, "peer-fastwebsockets");
                        recipes.push(Recipe::fastwebsockets(&program)?);
                    }
                    (Name::Bun, kind) => recipes.extend(Recipe::bun(kind, &self.bun)),
                    (Name::Workerd, Kind::Room) => recipes.extend(Recipe::workerd(&self.workerd)),
                    (Name::Workerd, Kind::Echo) => {}
                    (Name::Object | Name::Proxy | Name::Fastwebsockets, Kind::Room) => {}
                }
            }
        }
        ensure!(!recipes.is_empty(), "no server is left to measure");
        Ok(recipes)
    }

    /// One sample, taken again while something else is running; the quietest one counts.
    fn sample(&self, row: Row, server: &Server, repetition: usize) -> Result<Sample> {
        let mut best: Option<Sample> = None;
        for _ in 0..self.tries {
            let quiet = Quiet::watch(server.pids())?;
            let (cpu_us, per_second) = row.measure(server.target(), self.seconds)?;
            let sample = Sample {
                row: row.name,
                server: server.name,
                repetition,
                cpu_us,
                per_second,
                others: quiet.others()?,
            };
            if best.as_ref().is_none_or(|b| sample.others < b.others) {
                best = Some(sample);
            }
            if best.as_ref().is_some_and(|b| b.others <= DISTURBED) {
                break;
            }
        }
        Ok(best.expect("at least one try is made"))
    }

    fn report(&self, comparison: &Comparison) {
        let disturbed = comparison
            .samples
            .iter()
            .filter(|s| s.others > DISTURBED)
            .count();
        if self.json {
            let line = json!({
                "servers": comparison.servers,
                "seconds": self.seconds,
                "disturbed": disturbed,
                "cells": comparison.cells(),
                "samples": comparison.samples,
            });
            println!("{line}");
            return;
        }
        println!("{}", comparison.table());
        println!(
            "Medians of {} repetitions of {} s; {disturbed} of {} samples were taken while others \
             used more than {:.0}% of a core.",
            self.repetitions,
            self.seconds,
            comparison.samples.len(),
            DISTURBED * 100.0
        );
    }
}
