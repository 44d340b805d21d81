//! As many idle WebSockets as the machine holds, up to a million, in rooms; then messages, then a drain.
//! Does not touch servers that run already: it starts its own, on loopback, and ends them.

use std::net::SocketAddrV4;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use wsworker_bench::net::loopback;
use wsworker_bench::scale::children::die_with_parent;
use wsworker_bench::scale::load::{self, Share};
use wsworker_bench::scale::run::{self, Options};

/// Opens idle WebSockets in rooms, sends messages into random rooms, and drains all, on this machine.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Sockets [default: as many as the limits allow, at most 1,000,000].
    #[arg(long)]
    sockets: Option<usize>,
    /// Members of a room.
    #[arg(long, default_value_t = 100)]
    room: usize,
    /// How long messages are sent: so long at the rate, and again as fast as possible.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Messages a second, each to all members of a room.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Picks rooms and senders.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Open no more where less memory is available, in MiB.
    #[arg(long, default_value_t = 1024)]
    keep_mib: u64,
    /// Print one line of JSON in place of the tables.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Holds a part of the sockets; the program starts it itself.
    #[command(hide = true)]
    Load {
        #[arg(long, value_parser = loopback)]
        addr: SocketAddrV4,
        #[arg(long)]
        first: usize,
        #[arg(long)]
        sockets: usize,
        #[arg(long)]
        room: usize,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(Part::Load {
        addr,
        first,
        sockets,
        room,
    }) = args.part
    {
        die_with_parent()?;
        return load::run(Share {
            addr,
            first,
            sockets,
            room,
        });
    }
    ensure!(
        !cfg!(debug_assertions),
        "the load must be built for release: `cargo run --release -p wsworker-bench --bin wsworker-scale`"
    );
    let report = run::run(Options {
        sockets: args.sockets,
        room: args.room,
        seconds: args.seconds,
        rate: args.rate,
        seed: args.seed,
        keep_mib: args.keep_mib,
    })?;
    let text = match args.json {
        true => serde_json::to_string(&report)? + "\n",
        false => report.markdown(),
    };
    print(&text)?;
    report.check()
}

fn print(text: &str) -> Result<()> {
    use std::io::Write;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
