//! Puts one load on one server and prints one JSON line.
//! Does not start the server: see `wsworker-compare` and `wsworker-memory` for that.

#![allow(clippy::print_stdout, reason = "the report goes to standard output")]

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde::Serialize;
use wsworker_bench::load::echo::{self, Echo};
use wsworker_bench::load::flood::{self, Flood};
use wsworker_bench::load::handshake::{self, Handshake};
use wsworker_bench::load::idle::{self, Idle};
use wsworker_bench::load::room::{self, Room};
use wsworker_bench::load::steady::Until;
use wsworker_bench::load::{Target, flood::Kind};
use wsworker_bench::{machine, net};

/// Puts one load on a WebSocket echo server on this machine and prints one JSON line.
#[derive(Parser)]
struct Args {
    /// Where the server listens; loopback only.
    #[arg(long, default_value = "127.0.0.1:8787", value_parser = net::loopback)]
    addr: SocketAddrV4,
    /// The server's process, for its CPU time and memory.
    #[arg(long)]
    pid: u32,
    /// Binds the load to this core.
    #[arg(long)]
    core: Option<usize>,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Messages there and back.
    Echo {
        #[arg(long, default_value_t = 64)]
        conns: usize,
        /// Bytes of a message.
        #[arg(long, default_value_t = 20)]
        size: usize,
        /// Messages in flight on each connection.
        #[arg(long, default_value_t = 1)]
        depth: usize,
        /// Text instead of binary messages.
        #[arg(long)]
        text: bool,
        #[command(flatten)]
        time: Time,
    },
    /// Messages of one member of a room to all others.
    Room {
        #[arg(long, default_value_t = 1_000)]
        receivers: usize,
        /// Bytes of a message.
        #[arg(long, default_value_t = 128)]
        size: usize,
        /// Messages in flight.
        #[arg(long, default_value_t = 1)]
        depth: usize,
        #[command(flatten)]
        time: Time,
    },
    /// Connect, upgrade, close.
    Handshake {
        #[arg(long, default_value_t = 20_000)]
        count: usize,
        /// Handshakes under way at a time.
        #[arg(long, default_value_t = 32)]
        parallel: usize,
    },
    /// Connections at rest, and the server's memory for each.
    Idle {
        #[arg(long, default_value_t = 10_000)]
        conns: usize,
        /// Each connection echoes one message before it rests.
        #[arg(long)]
        one_message: bool,
    },
    /// A frame announced on each connection, with one byte of it.
    Announce {
        #[arg(long, default_value_t = 1_000)]
        conns: usize,
        /// Bytes announced.
        #[arg(long, default_value_t = 1 << 20)]
        declared: u64,
    },
    /// What a hostile client sends, for a bounded time.
    Flood {
        kind: Kind,
        #[arg(long, default_value_t = 4)]
        conns: usize,
        /// Payload of a frame or a header line [default: ping 125, fragment 0, header 64].
        #[arg(long)]
        size: Option<usize>,
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
}

#[derive(clap::Args)]
struct Time {
    /// Length of the measured part.
    #[arg(long, default_value_t = 3.0, conflicts_with = "messages")]
    seconds: f64,
    /// Messages of the measured part, instead of a time; in a room each counts once for each receiver.
    #[arg(long)]
    messages: Option<u64>,
    /// Seconds of the same load before the measured part.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
}

impl Time {
    fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }

    fn until(&self) -> Until {
        match self.messages {
            Some(messages) => Until::Messages(messages),
            None => Until::Elapsed(Duration::from_secs_f64(self.seconds)),
        }
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(core) = args.core {
        machine::pin(core)?;
    }
    let target = Target {
        addr: args.addr,
        pid: args.pid,
        tls: false,
    };
    match args.load {
        Load::Echo {
            conns,
            size,
            depth,
            text,
            time,
        } => print(&echo::run(
            target,
            Echo {
                conns,
                size,
                depth,
                text,
                warm_up: time.warm_up(),
                until: time.until(),
            },
        )?),
        Load::Room {
            receivers,
            size,
            depth,
            time,
        } => print(&room::run(
            target,
            Room {
                receivers,
                size,
                depth,
                warm_up: time.warm_up(),
                until: time.until(),
            },
        )?),
        Load::Handshake { count, parallel } => {
            print(&handshake::run(target, Handshake { count, parallel })?)
        }
        Load::Idle { conns, one_message } => print(&idle::run(
            target,
            Idle {
                conns,
                one_message,
                announce: None,
            },
        )?),
        Load::Announce { conns, declared } => print(&idle::run(
            target,
            Idle {
                conns,
                one_message: false,
                announce: Some(declared),
            },
        )?),
        Load::Flood {
            kind,
            conns,
            size,
            seconds,
        } => print(&flood::run(
            target,
            Flood {
                kind,
                conns,
                size: size.unwrap_or(default_size(kind)),
                time: Duration::from_secs_f64(seconds),
            },
        )?),
    }
}

/// The payload that costs a server most for each byte sent.
fn default_size(kind: Kind) -> usize {
    match kind {
        Kind::Ping => 125,
        Kind::Fragment => 0,
        Kind::Header => 64,
    }
}

fn print(report: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}
