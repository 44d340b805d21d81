//! Servers as child processes on a core of their own; a proxy with the server behind it.
//! Ends only what it started: a child dies with the value that stands for it.

mod recipe;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::recipe::Recipe;
use crate::load::Target;
use crate::tls::Secured;

/// The core that servers run on.
pub const SERVER_CORE: usize = 0;
/// The core that the load runs on.
pub const LOAD_CORE: usize = 1;

/// A server that accepts no upgrade for so long has failed.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running server; dropping it ends the process and removes what it stored.
pub struct Server {
    /// The name in a table.
    pub name: &'static str,
    child: Child,
    addr: SocketAddrV4,
    /// It speaks TLS.
    tls: bool,
    upstream: Option<Box<Server>>,
    /// Goes when the process has ended.
    _directory: TempDir,
}

impl Server {
    /// What to aim a load at.
    pub fn target(&self) -> Target {
        Target {
            addr: self.addr,
            pid: self.child.id(),
            tls: self.tls,
        }
    }

    /// All processes that are at work for it: its own first.
    pub fn pids(&self) -> Vec<u32> {
        let behind = self.upstream.iter().flat_map(|upstream| upstream.pids());
        [self.child.id()].into_iter().chain(behind).collect()
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(pid).context("a process has a number")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let failure = match Secured::open(self.addr, 0, self.tls) {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended at once: {status}", self.name);
            }
            if start.elapsed() > START_LIMIT {
                return Err(failure.context(format!("{} is not ready", self.name)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file beside this program: `target/release` holds all binaries, and `examples` below it.
pub fn beside(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    path.set_file_name(name);
    path
}
