//! What a connection holds of a server's memory: at rest, after a message, and with a frame announced.
//! Measures user space only: the kernel's buffers for a socket are the same for every server.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use serde::Serialize;
use wsworker_bench::load::idle::{self, Idle};
use wsworker_bench::machine;
use wsworker_bench::server::{Recipe, beside};

/// Compares the memory that a connection holds, in bytes, resident and anonymous.
#[derive(Parser)]
struct Args {
    /// Connections at rest.
    #[arg(long, default_value_t = 10_000)]
    conns: usize,
    /// Connections that announce a frame and send one byte of it.
    #[arg(long, default_value_t = 1_000)]
    announcing: usize,
    /// Bytes that each of them announces.
    #[arg(long, default_value_t = 1 << 20)]
    declared: u64,
    /// Only servers whose name holds one of these parts, separated by commas.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// wsworker's echo example [default: examples/echo beside this program].
    #[arg(long)]
    echo: Option<PathBuf>,
    /// An echo whose handler's future is 16 KiB large [default: beside this program].
    #[arg(long)]
    bigfuture: Option<PathBuf>,
    /// The fastwebsockets peer [default: beside this program].
    #[arg(long)]
    fastwebsockets: Option<PathBuf>,
    /// The Bun program.
    #[arg(long, default_value = "bun")]
    bun: PathBuf,
    /// Fails if an idle connection of any server takes more bytes.
    #[arg(long)]
    max_idle: Option<f64>,
    /// Fails if an announced frame takes more bytes of any server.
    #[arg(long)]
    max_announced: Option<f64>,
    /// Prints one JSON line instead of the table.
    #[arg(long)]
    json: bool,
}

/// Bytes for each connection, each figure from a fresh server.
#[derive(Serialize)]
struct Line {
    server: &'static str,
    idle: f64,
    idle_after_a_message: f64,
    announced: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        args.conns > 0 && args.announcing > 0,
        "nothing is to be measured"
    );
    // Both the load and, by inheritance, the servers.
    machine::raise_open_files(args.conns.max(args.announcing) as u64 + 512)?;
    let mut lines = Vec::new();
    for recipe in args.recipes()? {
        let line = args.measure(&recipe)?;
        eprintln!("{}: done", line.server);
        lines.push(line);
    }
    args.report(&lines)?;
    args.check(&lines)
}

impl Args {
    fn recipes(&self) -> Result<Vec<Recipe>> {
        let path = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| beside(name));
        let mut recipes = Vec::new();
        if self.wants("wsworker") {
            let program = path(&self.echo, "examples/echo");
            recipes.push(Recipe::wsworker("wsworker", &program)?);
        }
        if self.wants("bigfuture") {
            let program = path(&self.bigfuture, "bench-bigfuture");
            recipes.push(Recipe::wsworker("bigfuture", &program)?);
        }
        if self.wants("fastwebsockets") {
            let program = path(&self.fastwebsockets, "peer-fastwebsockets");
            recipes.push(Recipe::fastwebsockets(&program)?);
        }
        if self.wants("bun") {
            let bun = Recipe::bun(&self.bun, "bun-echo.js");
            recipes.extend(bun.is_there().then_some(bun));
        }
        Ok(recipes)
    }

    fn wants(&self, name: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|part| name.contains(part.as_str()))
    }

    /// A fresh server for each figure: what an earlier load left on the heap would hide the next.
    fn measure(&self, recipe: &Recipe) -> Result<Line> {
        let run = |idle: Idle| -> Result<idle::Report> {
            let server = recipe.start()?;
            idle::run(server.target(), idle)
        };
        let idle = Idle {
            conns: self.conns,
            one_message: false,
            announce: None,
        };
        let announced = run(Idle {
            conns: self.announcing,
            announce: Some(self.declared),
            ..idle
        })?;
        Ok(Line {
            server: recipe.name,
            idle: run(idle)?.idle_each.anon,
            idle_after_a_message: run(Idle {
                one_message: true,
                ..idle
            })?
            .idle_each
            .anon,
            announced: announced.announced_each.unwrap_or_default().anon,
        })
    }

    fn check(&self, lines: &[Line]) -> Result<()> {
        for line in lines {
            let idle = line.idle.max(line.idle_after_a_message);
            for (what, seen, most) in [
                ("idle", idle, self.max_idle),
                ("announced", line.announced, self.max_announced),
            ] {
                let most = most.unwrap_or(f64::INFINITY);
                let server = line.server;
                ensure!(
                    seen <= most,
                    "{server}, {what}: {seen:.0} bytes a connection, at most {most:.0} are allowed"
                );
            }
        }
        Ok(())
    }

    fn report(&self, lines: &[Line]) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(lines)?);
            return Ok(());
        }
        println!(
            "| bytes a connection | idle ({n}) | idle after a message ({n}) | {} bytes announced, \
             one sent ({}) |\n| --- | ---: | ---: | ---: |",
            self.declared,
            self.announcing,
            n = self.conns
        );
        for line in lines {
            println!(
                "| {} | {:.0} | {:.0} | {:.0} |",
                line.server, line.idle, line.idle_after_a_message, line.announced
            );
        }
        Ok(())
    }
}
