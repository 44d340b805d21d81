//! What a connection holds of a server's memory: at rest, after a message, and with a frame announced;
//! what a member of a room holds, and what an object leaves behind that sleeps, with a socket and without.
//! Measures user space only: the kernel's buffers for a socket are the same for every server.

#![allow(clippy::print_stdout, reason = "the table goes to standard output")]

use std::ops::Range;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use serde::Serialize;
use wsworker_bench::load::idle::{self, Idle};
use wsworker_bench::load::increments::{Generator, Increments};
use wsworker_bench::machine;
use wsworker_bench::net;
use wsworker_bench::process::Memory;
use wsworker_bench::server::{Recipe, beside};

/// Compares the memory that a connection or an object holds, in bytes, resident and anonymous.
#[derive(Parser)]
struct Args {
    /// Connections at rest; members of a room.
    #[arg(long, default_value_t = 10_000)]
    conns: usize,
    /// Objects that sleep.
    #[arg(long, default_value_t = 100_000)]
    objects: usize,
    /// Connections that announce a frame and send one byte of it.
    #[arg(long, default_value_t = 1_000)]
    announcing: usize,
    /// Bytes that each of them announces.
    #[arg(long, default_value_t = 1 << 20)]
    declared: u64,
    /// Only servers whose name holds one of these parts, separated by commas; `room` for all rooms,
    /// `objects` for objects that sleep, `alone` for those with a socket.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<String>,
    /// wsworker's echo example [default: examples/echo beside this program].
    #[arg(long)]
    echo: Option<PathBuf>,
    /// An echo whose handler's future is 16 KiB large [default: beside this program].
    #[arg(long)]
    bigfuture: Option<PathBuf>,
    /// Rooms of wsworker's, one for each path [default: bench-rooms beside this program].
    #[arg(long)]
    rooms: Option<PathBuf>,
    /// A room of wsworker's [default: beside this program].
    #[arg(long)]
    room: Option<PathBuf>,
    /// The counters' server [default: bench-counter beside this program].
    #[arg(long)]
    counter: Option<PathBuf>,
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
    /// Fails if a member of a room of wsworker's takes more bytes.
    #[arg(long)]
    max_member: Option<f64>,
    /// Fails if a sleeping object takes more bytes.
    #[arg(long)]
    max_asleep: Option<f64>,
    /// Fails if a connection and a sleeping object of its own take more bytes.
    #[arg(long)]
    max_alone: Option<f64>,
    /// Prints one JSON line instead of the table.
    #[arg(long)]
    json: bool,
}

/// Each figure is from a fresh server.
#[derive(Serialize)]
struct Lines {
    connections: Vec<Line>,
    members: Vec<Each>,
    asleep: Vec<Each>,
    alone: Vec<Each>,
}

/// Bytes for each member of a room, or for each object.
#[derive(Serialize)]
struct Each {
    server: &'static str,
    bytes: f64,
}

/// Bytes for each connection.
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
        args.conns > 0 && args.announcing > 0 && args.objects > 0,
        "nothing is to be measured"
    );
    // Both the load and, by inheritance, the servers.
    let most = args.conns + args.conns / 10;
    machine::raise_open_files(most.max(args.announcing) as u64 + 512)?;
    let counters = args.ours("objects", &args.counter, "bench-counter")?;
    let alone = args.ours("alone", &args.rooms, "bench-rooms")?;
    let lines = Lines {
        connections: measured(args.echoes()?, |recipe| args.connection(recipe))?,
        members: measured(args.rooms()?, |recipe| args.member(recipe))?,
        asleep: measured(counters, |recipe| args.asleep(recipe))?,
        alone: measured(alone, |recipe| args.alone(recipe))?,
    };
    args.report(&lines)?;
    args.check(&lines)
}

/// Those that are there.
fn measured<T>(recipes: Vec<Recipe>, measure: impl Fn(&Recipe) -> Result<T>) -> Result<Vec<T>> {
    let mut lines = Vec::new();
    for recipe in recipes.iter().filter(|recipe| recipe.is_there()) {
        lines.push(measure(recipe)?);
        eprintln!("{}: done", recipe.name);
    }
    Ok(lines)
}

impl Args {
    fn echoes(&self) -> Result<Vec<Recipe>> {
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
            recipes.push(Recipe::peer("fastwebsockets", &program)?);
        }
        if self.wants("bun") {
            recipes.push(Recipe::bun(&self.bun, "bun-echo.js"));
        }
        Ok(recipes)
    }

    fn rooms(&self) -> Result<Vec<Recipe>> {
        let mut recipes = Vec::new();
        if self.wants("room") {
            let program = path(&self.room, "bench-room");
            recipes.push(Recipe::wsworker("wsworker", &program)?);
            recipes.push(Recipe::bun(&self.bun, "bun-room.js"));
        }
        Ok(recipes)
    }

    /// A program of wsworker's, if what it shows is wanted.
    fn ours(&self, shown: &str, given: &Option<PathBuf>, name: &str) -> Result<Vec<Recipe>> {
        let recipe = || Recipe::wsworker("wsworker", &path(given, name));
        self.wants(shown).then(recipe).into_iter().collect()
    }

    fn wants(&self, name: &str) -> bool {
        self.servers.is_empty() || self.servers.iter().any(|part| name.contains(part.as_str()))
    }

    /// A fresh server for each figure: what an earlier load left on the heap would hide the next.
    fn connection(&self, recipe: &Recipe) -> Result<Line> {
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

    /// A member at rest, its room awake or asleep as it is after some seconds.
    fn member(&self, recipe: &Recipe) -> Result<Each> {
        let server = recipe.start()?;
        let idle = Idle {
            conns: self.conns,
            one_message: false,
            announce: None,
        };
        Ok(Each {
            server: recipe.name,
            bytes: idle::run(server.target(), idle)?.idle_each.anon,
        })
    }

    /// An object without sockets that has written once, and sleeps.
    fn asleep(&self, recipe: &Recipe) -> Result<Each> {
        /// The server's `hibernate_after`, and what it takes to put all to sleep.
        const ASLEEP: Duration = Duration::from_secs(2);
        let server = recipe.start()?;
        let target = server.target();
        let increments = Increments {
            conns: 64,
            counters: self.objects,
            depth: 16,
        };
        let mut generator = Generator::connect(target, increments)?;
        // What is allocated once is not an object's.
        generator.count(self.objects as u64 / 10)?;
        thread::sleep(ASLEEP);
        let before = Memory::settled(target.pid)?;

        let created = generator.used();
        generator.count(self.objects as u64)?;
        thread::sleep(ASLEEP);
        let asleep = Memory::settled(target.pid)?;
        let more = generator.used() - created;
        ensure!(more > 0, "no object was created");
        Ok(Each {
            server: recipe.name,
            bytes: asleep.each_since(&before, more).anon,
        })
    }

    /// A connection at rest, alone in a room that sleeps.
    fn alone(&self, recipe: &Recipe) -> Result<Each> {
        /// A room's `hibernate_after`, and what it takes to put all to sleep.
        const ASLEEP: Duration = Duration::from_secs(12);
        let server = recipe.start()?;
        let target = server.target();
        let enter = |range: Range<usize>| -> Result<Vec<_>> {
            let enter = |nth| net::open_at(target.addr, nth, &format!("/{nth}"));
            range.map(enter).collect()
        };
        // What is allocated once is none's.
        let _first = enter(0..self.conns / 10)?;
        thread::sleep(ASLEEP);
        let before = Memory::settled(target.pid)?;

        let _more = enter(self.conns / 10..self.conns + self.conns / 10)?;
        thread::sleep(ASLEEP);
        let asleep = Memory::settled(target.pid)?;
        Ok(Each {
            server: recipe.name,
            bytes: asleep.each_since(&before, self.conns).anon,
        })
    }

    fn check(&self, lines: &Lines) -> Result<()> {
        for line in &lines.connections {
            let idle = line.idle.max(line.idle_after_a_message);
            at_most(self.max_idle, line.server, "an idle connection", idle)?;
            let announced = "a connection with a frame announced";
            at_most(self.max_announced, line.server, announced, line.announced)?;
        }
        for line in lines.members.iter().filter(|l| l.server == "wsworker") {
            at_most(self.max_member, line.server, "a room's member", line.bytes)?;
        }
        for line in &lines.asleep {
            at_most(
                self.max_asleep,
                line.server,
                "a sleeping object",
                line.bytes,
            )?;
        }
        for line in &lines.alone {
            let what = "a connection and its sleeping object";
            at_most(self.max_alone, line.server, what, line.bytes)?;
        }
        Ok(())
    }

    fn report(&self, lines: &Lines) -> Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(lines)?);
            return Ok(());
        }
        if !lines.connections.is_empty() {
            println!(
                "| bytes a connection | idle ({n}) | idle after a message ({n}) | {} bytes announced, \
                 one sent ({}) |\n| --- | ---: | ---: | ---: |",
                self.declared,
                self.announcing,
                n = self.conns
            );
        }
        for line in &lines.connections {
            println!(
                "| {} | {:.0} | {:.0} | {:.0} |",
                line.server, line.idle, line.idle_after_a_message, line.announced
            );
        }
        table(
            &format!("a member of a room of {}", self.conns),
            &lines.members,
        );
        table(
            &format!("a sleeping object of {}", self.objects),
            &lines.asleep,
        );
        table("a connection and its sleeping object", &lines.alone);
        Ok(())
    }
}

fn table(what: &str, lines: &[Each]) {
    if !lines.is_empty() {
        println!("\n| | bytes, {what} |\n| --- | ---: |");
    }
    for line in lines {
        println!("| {} | {:.0} |", line.server, line.bytes);
    }
}

fn at_most(most: Option<f64>, server: &str, what: &str, seen: f64) -> Result<()> {
    let most = most.unwrap_or(f64::INFINITY);
    ensure!(
        seen <= most,
        "{server}: {seen:.0} bytes for {what}, at most {most:.0} are allowed"
    );
    Ok(())
}

fn path(given: &Option<PathBuf>, name: &str) -> PathBuf {
    given.clone().unwrap_or_else(|| beside(name))
}
