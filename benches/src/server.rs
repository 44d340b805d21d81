//! Servers as child processes on a core of their own; a proxy with the server behind it.
//! Ends only what it started: a child dies with the value that stands for it.

mod recipe;

use std::net::SocketAddrV4;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use tempfile::TempDir;

pub use self::recipe::Recipe;
use crate::child::Process;
use crate::load::Target;
use crate::tls::Secured;

/// The core that servers run on.
pub const SERVER_CORE: usize = 0;
/// The core that the load runs on.
pub const LOAD_CORE: usize = 1;

/// A running server; dropping it ends the process and removes what it stored.
pub struct Server {
    /// The name in a table.
    pub name: &'static str,
    process: Process,
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
            pid: self.process.pid(),
            tls: self.tls,
        }
    }

    /// All processes that are at work for it: its own first.
    pub fn pids(&self) -> Vec<u32> {
        let behind = self.upstream.iter().flat_map(|upstream| upstream.pids());
        [self.process.pid()].into_iter().chain(behind).collect()
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> Result<()> {
        self.process.terminate()?;
        let status = self.process.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let (addr, tls) = (self.addr, self.tls);
        self.process.until_ready(|| Secured::open(addr, 0, tls))
    }
}

/// A file beside this program: `target/release` holds all binaries, and `examples` below it.
pub fn beside(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    path.set_file_name(name);
    path
}
