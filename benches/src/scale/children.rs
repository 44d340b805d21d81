//! The servers and the loads as processes.
//! They end with the values that stand for them, and with the program that started them, however it ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{ChildStdin, Command as Program, ExitStatus, Stdio};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tempfile::TempDir;

use super::load::Share;
use super::protocol::{Command, Event};
use crate::child::Process;
use crate::net;
use crate::server::beside;

/// The variable by which a child knows who has started it.
const PARENT: &str = "BENCH_PARENT";

/// What differs from a server's defaults: a million Closes want their time, on few cores.
pub const SETTINGS: [(&str, &str); 2] = [
    ("WSWORKER_DRAIN_TIMEOUT", "5m"),
    ("WSWORKER_CLOSE_TIMEOUT", "5m"),
];

/// Has the kernel end this process when the one that started it ends. For the children's `main`; does
/// nothing in a process that was started by hand.
pub fn die_with_parent() -> Result<()> {
    let Some(parent) = std::env::var_os(PARENT) else {
        return Ok(());
    };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if parent != OsStr::new(&now.to_string()) {
        bail!("the program that started this has ended already");
    }
    Ok(())
}

fn child(program: impl AsRef<OsStr>) -> Program {
    let mut program = Program::new(program);
    program.env(PARENT, std::process::id().to_string());
    program
}

/// A server process with rooms.
pub struct Rooms {
    process: Process,
    addr: SocketAddrV4,
    /// Goes when the process has ended.
    _directory: TempDir,
}

impl Rooms {
    /// Starts one on a free port, and waits until it accepts.
    pub fn start() -> Result<Self> {
        let program = beside("bench-rooms");
        let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, net::free_port()?);
        let directory = tempfile::tempdir()?;
        let started = child(&program)
            .env("WSWORKER_ADDR", addr.to_string())
            .env("WSWORKER_DATA", directory.path())
            .envs(SETTINGS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let started = started.with_context(|| {
            let path = program.display();
            format!("starting {path}; build it with `cargo build --release -p wsworker-bench`")
        })?;
        let mut process = Process::of("a server", started);
        process.until_ready(|| net::open(addr, 0))?;
        Ok(Self {
            process,
            addr,
            _directory: directory,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Asks it to drain.
    pub fn terminate(&self) -> Result<()> {
        self.process.terminate()
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.ended()
    }
}

/// A load process.
pub struct Load {
    process: Process,
    commands: ChildStdin,
}

impl Load {
    /// Starts it; its events come with its number.
    pub fn start(nth: usize, share: Share, events: Sender<(usize, Event)>) -> Result<Self> {
        let number = |n: usize| n.to_string();
        let mut child = child(std::env::current_exe()?)
            .args(["load", "--addr", &share.addr.to_string()])
            .args(["--first", &number(share.first)])
            .args(["--sockets", &number(share.sockets)])
            .args(["--room", &number(share.room)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it has to say comes as an event.
            .stderr(Stdio::null())
            .spawn()
            .context("starting a load")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let load = Self {
            process: Process::of("a load", child),
            commands: input.context("a load has an input")?,
        };
        let output = BufReader::new(output.context("a load has an output")?);
        std::thread::Builder::new().spawn(move || {
            for line in output.lines() {
                let event = line.map_err(anyhow::Error::from);
                let event = event.and_then(|line| Ok(serde_json::from_str(&line)?));
                let event = event.unwrap_or_else(|e| Event::Failed(format!("{e:#}")));
                if events.send((nth, event)).is_err() {
                    return;
                }
            }
            // After `Closed` nobody listens to this any more.
            let _ = events.send((nth, Event::Failed("it has ended".to_owned())));
        })?;
        Ok(load)
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Tells it what to do.
    pub fn command(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        let written = self.commands.write_all(line.as_bytes());
        written.context("a load takes no commands any more")
    }
}
