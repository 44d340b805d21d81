//! Runs wsworker and its peers side by side and prints tables of CPU time for each message.
//! Does not touch servers that run already: it starts its own and ends them.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use serde_json::json;
use wsworker_bench::comparison::Comparison;
use wsworker_bench::machine;
use wsworker_bench::rows::{self, Kind, ROWS, Row};
use wsworker_bench::sampling::{DISTURBED, Sampling};
use wsworker_bench::server::{Recipe, Server, beside};

/// Compares wsworker with its peers: server CPU for each message, paired ratios.
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
    /// The servers, separated by commas; each is in the rows that it can answer, and the first of a
    /// row is compared with each of the others.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "wsworker,plain,fastwebsockets,bun,workerd"
    )]
    servers: Vec<Name>,
    /// wsworker's echo example [default: examples/echo beside this program].
    #[arg(long)]
    echo: Option<PathBuf>,
    /// wsworker's proxy example [default: examples/proxy beside this program].
    #[arg(long)]
    proxy: Option<PathBuf>,
    /// A room of wsworker's [default: beside this program].
    #[arg(long)]
    room: Option<PathBuf>,
    /// An echo by an object [default: beside this program].
    #[arg(long)]
    object: Option<PathBuf>,
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
    /// The echo example, beside an object's echo.
    Plain,
    Fastwebsockets,
    Bun,
    Workerd,
    /// The proxy example in front of the echo example; its own CPU time for each round trip.
    Proxy,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        args.repetitions > 0 && args.tries > 0,
        "nothing is to be measured"
    );
    let rows = args.rows()?;
    let sampling = Sampling {
        seconds: args.seconds,
        tries: args.tries,
    };
    machine::raise_open_files(4096)?;
    let servers = args.start(&rows)?;
    let mut names: Vec<_> = servers.iter().map(|(_, server)| server.name).collect();
    names.dedup();
    let mut comparison = Comparison {
        servers: names,
        rows,
        samples: Vec::new(),
    };

    for repetition in 0..args.repetitions {
        for row in comparison.rows.clone() {
            let able = servers.iter().filter(|(kind, _)| *kind == row.kind);
            let able: Vec<&Server> = able.map(|(_, server)| server).collect();
            // Another server goes first each time: none is always the one after a big load.
            for nth in 0..able.len() {
                let server = able[(nth + repetition) % able.len()];
                let sample = sampling.take(row, server, repetition)?;
                eprintln!(
                    "{}/{} {:<14} {:<15} {:>8.2} µs {:>10.0}/s  others {:.0}%",
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
    /// In the tables' order, so that those of one kind are together.
    fn rows(&self) -> Result<Vec<Row>> {
        let compared: Vec<Row> = ROWS.into_iter().filter(|row| row.compared).collect();
        let names: Vec<_> = compared.iter().map(|row| row.name).collect();
        let chosen = rows::choose(&names, &self.rows)?;
        let chosen = |row: &Row| chosen.contains(&row.name);
        Ok(compared.into_iter().filter(chosen).collect())
    }

    /// Starts each server once for each kind of row that it is in.
    fn start(&self, rows: &[Row]) -> Result<Vec<(Kind, Server)>> {
        let mut servers = Vec::new();
        for name in &self.servers {
            let mut recipes = Vec::new();
            for kinds in rows.chunk_by(|a, b| a.kind == b.kind) {
                let kind = kinds[0].kind;
                recipes.extend(self.recipe(*name, kind)?.map(|recipe| (kind, recipe)));
            }
            if recipes.first().is_some_and(|(_, recipe)| recipe.is_there()) {
                for (kind, recipe) in recipes {
                    servers.push((kind, recipe.start()?));
                }
            }
        }
        ensure!(!servers.is_empty(), "no server is left to measure");
        Ok(servers)
    }

    /// The server of this name that is of this kind, if there is one.
    fn recipe(&self, name: Name, kind: Kind) -> Result<Option<Recipe>> {
        let path = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| beside(name));
        let echo = path(&self.echo, "examples/echo");
        Ok(Some(match (name, kind) {
            (Name::Wsworker, Kind::Echo) => Recipe::wsworker("wsworker", &echo)?,
            (Name::Wsworker, Kind::Room) => {
                Recipe::wsworker("wsworker", &path(&self.room, "bench-room"))?
            }
            (Name::Wsworker, Kind::Object) => {
                Recipe::wsworker("wsworker", &path(&self.object, "bench-object"))?
            }
            (Name::Plain, Kind::Object) => Recipe::wsworker("plain", &echo)?,
            (Name::Proxy, Kind::Echo) => {
                let program = path(&self.proxy, "examples/proxy");
                Recipe::proxy("proxy", &program, Recipe::wsworker("wsworker", &echo)?)?
            }
            (Name::Fastwebsockets, Kind::Echo) => Recipe::peer(
                "fastwebsockets",
                &path(&self.fastwebsockets, "peer-fastwebsockets"),
            )?,
            (Name::Bun, Kind::Echo) => Recipe::bun(&self.bun, "bun-echo.js"),
            (Name::Bun, Kind::Room) => Recipe::bun(&self.bun, "bun-room.js"),
            (Name::Workerd, Kind::Room) => Recipe::workerd(&self.workerd, "workerd-room.capnp"),
            _ => return Ok(None),
        }))
    }

    fn report(&self, comparison: &Comparison) {
        let disturbed = comparison.samples.iter();
        let disturbed = disturbed.filter(|s| s.is_disturbed()).count();
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
        println!("{}", comparison.tables());
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
