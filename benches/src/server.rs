//! Servers as child processes on a core of their own; a proxy with the server behind it.
//! Ends only what it started: a child dies with the value that stands for it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf, absolute};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::load::Target;
use crate::{machine, net};

/// The core that servers run on.
pub const SERVER_CORE: usize = 0;
/// The core that the load runs on.
pub const LOAD_CORE: usize = 1;

/// A server that accepts no upgrade for so long has failed.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The name in a table.
    pub name: &'static str,
    program: PathBuf,
    args: Vec<OsString>,
    /// What an address has before it as a further argument, where no variable gives it.
    addr_arg: Option<&'static str>,
    /// The npm package of a peer that may be absent.
    package: Option<&'static str>,
    /// What a proxy stands in front of.
    upstream: Option<Box<Recipe>>,
    /// Where its own directory is made, if not where temporary ones are.
    within: Option<PathBuf>,
    /// On all cores, with a thread for each.
    unpinned: bool,
}

impl Recipe {
    /// A binary that calls `wsworker::run`, which takes its settings from the environment.
    pub fn wsworker(name: &'static str, program: &Path) -> Result<Self> {
        Self::built(name, program)
    }

    /// A wsworker program that sends its requests on to `upstream`, named in the variable UPSTREAM.
    pub fn proxy(name: &'static str, program: &Path, upstream: Self) -> Result<Self> {
        Ok(Self {
            upstream: Some(Box::new(upstream)),
            ..Self::built(name, program)?
        })
    }

    /// The plain fastwebsockets echo of this package.
    pub fn fastwebsockets(program: &Path) -> Result<Self> {
        Self::built("fastwebsockets", program)
    }

    /// A program of `peers` on Bun's own WebSocket server.
    pub fn bun(program: &Path, script: &str) -> Self {
        Self {
            args: vec![peer(script).into()],
            package: Some("bun"),
            ..Self::new("Bun", program)
        }
    }

    /// A configuration of `peers` for workerd, Cloudflare's own server.
    pub fn workerd(program: &Path, config: &str) -> Self {
        Self {
            args: vec!["serve".into(), peer(config).into()],
            addr_arg: Some("--socket-addr=http="),
            package: Some("workerd"),
            ..Self::new("workerd", program)
        }
    }

    fn built(name: &'static str, program: &Path) -> Result<Self> {
        ensure!(
            program.exists(),
            "no {name} server at {}; build it with `cargo build --release --example echo \
             --example proxy` and `cargo build --release -p wsworker-bench`",
            program.display()
        );
        Ok(Self::new(name, program))
    }

    fn new(name: &'static str, program: &Path) -> Self {
        Self {
            name,
            program: from_anywhere(program),
            args: Vec::new(),
            addr_arg: None,
            package: None,
            upstream: None,
            within: None,
            unpinned: false,
        }
    }

    /// The same server under valgrind, which writes to `log` how many instructions it took.
    pub fn counted(mut self, log: &Path) -> Self {
        let program = std::mem::replace(&mut self.program, "valgrind".into());
        let log = format!("--log-file={}", log.display());
        let options = [
            "--tool=cachegrind".into(),
            "--cache-sim=no".into(),
            "--cachegrind-out-file=/dev/null".into(),
            log.into(),
            program.into(),
        ];
        self.args.splice(..0, options);
        self
    }

    /// With its own directory in this one: the disk is what is measured.
    pub fn in_directory(mut self, directory: &Path) -> Self {
        self.within = Some(directory.to_owned());
        self
    }

    /// On all cores: time is what is measured, and not what the server needs of it.
    pub fn unpinned(mut self) -> Self {
        self.unpinned = true;
        self
    }

    /// Whether the peer is there; said loudly if it is not.
    pub fn is_there(&self) -> bool {
        let Some(package) = self.package else {
            return true;
        };
        let version = Command::new(&self.program).arg("--version").output();
        let Some(version) = version.ok().filter(|v| v.status.success()) else {
            eprintln!(
                "\n*** NO {} at {}: its column is left out. Install it with `npm install {package}` \
                 and name it with --{package} node_modules/.bin/{package} ***\n",
                self.name,
                self.program.display()
            );
            return false;
        };
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.trim().trim_start_matches(self.name).trim_start();
        eprintln!("{} {version}", self.name);
        true
    }

    /// Starts the server and waits until it accepts an upgrade.
    ///
    /// What a proxy stands in front of runs beside the load, so that the proxy has its core alone.
    /// Each server has an empty directory of its own, in which objects' state lies by default.
    pub fn start(&self) -> Result<Server> {
        self.start_on(SERVER_CORE)
    }

    fn start_on(&self, core: usize) -> Result<Server> {
        let upstream = self.upstream.as_deref();
        let upstream = upstream.map(|recipe| recipe.start_on(LOAD_CORE));
        let upstream = upstream.transpose()?.map(Box::new);
        let port = net::free_port()?;
        let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let directory = match &self.within {
            Some(within) => tempfile::tempdir_in(within)?,
            None => tempfile::tempdir()?,
        };
        let mut command = Command::new(&self.program);
        command
            .current_dir(&directory)
            .args(&self.args)
            .args(self.addr_arg.map(|before| format!("{before}{addr}")))
            .env("PORT", port.to_string())
            .env("WSWORKER_ADDR", addr.to_string())
            .env("WSWORKER_MAX_MESSAGE", "32MiB")
            .envs(
                upstream
                    .iter()
                    .map(|up| ("UPSTREAM", format!("http://{}", up.addr))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = match self.unpinned {
            true => command.spawn(),
            false => {
                // A child inherits the core of the thread that starts it.
                machine::pin(core)?;
                let child = command.env("WSWORKER_THREADS", "1").spawn();
                machine::pin(LOAD_CORE)?;
                child
            }
        };
        let mut server = Server {
            name: self.name,
            child: child.with_context(|| format!("starting {}", self.program.display()))?,
            addr,
            upstream,
            _directory: directory,
        };
        server.wait_until_ready()?;
        Ok(server)
    }
}

/// A running server; dropping it ends the process and removes what it stored.
pub struct Server {
    /// The name in a table.
    pub name: &'static str,
    child: Child,
    addr: SocketAddrV4,
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
            let failure = match net::open(self.addr, 0) {
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

/// A peer's script or configuration.
fn peer(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(file)
}

/// The same program for a child that starts in another directory. A bare name is looked up in PATH.
fn from_anywhere(program: &Path) -> PathBuf {
    match program.components().count() {
        1 => program.to_owned(),
        _ => absolute(program).unwrap_or_else(|_| program.to_owned()),
    }
}
