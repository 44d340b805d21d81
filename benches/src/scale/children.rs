//! The servers and the loads as processes.
//! They end with the values that stand for them, and with the program that started them, however it ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::{Child, ChildStdin, Command as Program, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tempfile::TempDir;

use super::load::Share;
use super::protocol::{Command, Event};
use crate::net;
use crate::server::beside;

/// The variable by which a child knows who has started it.
const PARENT: &str = "BENCH_PARENT";
/// A server that accepts no upgrade for so long has failed.
const START_LIMIT: Duration = Duration::from_secs(10);

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
    child: Child,
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
        let mut server = Self {
            child: started.with_context(|| {
                let path = program.display();
                format!("starting {path}; build it with `cargo build --release -p wsworker-bench`")
            })?,
            addr,
            _directory: directory,
        };
        let start = Instant::now();
        while let Err(failure) = net::open(addr, 0) {
            if let Some(status) = server.child.try_wait()? {
                bail!("a server ended at once: {status}");
            }
            if start.elapsed() > START_LIMIT {
                return Err(failure.context("a server is not ready"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddrV4 {
        self.addr
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to drain.
    pub fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(pid).context("a process has a number")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Rooms {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A load process.
pub struct Load {
    child: Child,
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
            child,
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
        self.child.id()
    }

    /// Tells it what to do.
    pub fn command(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        let written = self.commands.write_all(line.as_bytes());
        written.context("a load takes no commands any more")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself; either way nothing is left to do about it.
    let _ = child.kill();
    let _ = child.wait();
}
