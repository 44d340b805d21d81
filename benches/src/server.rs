//! Servers as child processes on a core of their own; a proxy with the server behind it.
//! Ends only what it started: a child dies with the value that stands for it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
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

/// What a server does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sends it back.
    Echo,
    /// Sends it to all other connections.
    Room,
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The name in a table.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    program: PathBuf,
    /// `{addr}` stands for the address.
    args: Vec<String>,
    /// What a proxy stands in front of.
    upstream: Option<Box<Recipe>>,
}

impl Recipe {
    /// A binary that calls `wsworker::run`, which takes its settings from the environment.
    pub fn wsworker(name: &'static str, program: &Path) -> Result<Self> {
        Self::built(name, Kind::Echo, program, &[])
    }

    /// A server whose sockets are all one Durable Object's.
    pub fn object(name: &'static str, kind: Kind, program: &Path) -> Result<Self> {
        let does = match kind {
            Kind::Echo => "echo",
            Kind::Room => "room",
        };
        Self::built(name, kind, program, &[does])
    }

    /// A wsworker program that sends its requests on to `upstream`, named in the variable UPSTREAM.
    pub fn proxy(name: &'static str, program: &Path, upstream: Self) -> Result<Self> {
        Ok(Self {
            upstream: Some(Box::new(upstream)),
            ..Self::wsworker(name, program)?
        })
    }

    /// The plain fastwebsockets echo of this package.
    pub fn fastwebsockets(program: &Path) -> Result<Self> {
        Self::built("fastwebsockets", Kind::Echo, program, &[])
    }

    /// Bun's own WebSocket server; `None`, said loudly, if there is no Bun.
    pub fn bun(kind: Kind, program: &Path) -> Option<Self> {
        let script = match kind {
            Kind::Echo => "bun-echo.js",
            Kind::Room => "bun-room.js",
        };
        Self::installed("Bun", kind, program, vec![peer(script)])
    }

    /// workerd's room, a Durable Object; `None`, said loudly, if there is no workerd.
    pub fn workerd(program: &Path) -> Option<Self> {
        let config = peer("workerd-room.capnp");
        let args = ["serve", &config, "--socket-addr", "http={addr}"];
        let args = args.map(str::to_owned).to_vec();
        Self::installed("workerd", Kind::Room, program, args)
    }

    fn built(name: &'static str, kind: Kind, program: &Path, args: &[&str]) -> Result<Self> {
        ensure!(
            program.exists(),
            "no {name} server at {}; build it with `cargo build --release --example echo \
             --example proxy` and `cargo build --release -p wsworker-bench`",
            program.display()
        );
        Ok(Self {
            name,
            kind,
            program: program.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            upstream: None,
        })
    }

    /// A peer that npm installs.
    fn installed(
        name: &'static str,
        kind: Kind,
        program: &Path,
        args: Vec<String>,
    ) -> Option<Self> {
        let version = Command::new(program).arg("--version").output();
        let Some(version) = version.ok().filter(|v| v.status.success()) else {
            let npm = name.to_lowercase();
            eprintln!(
                "\n*** NO {name} at {}: its column is left out. Install it with `npm install {npm}` \
                 and name it with --{npm} node_modules/.bin/{npm} ***\n",
                program.display()
            );
            return None;
        };
        eprintln!("{name} {}", String::from_utf8_lossy(&version.stdout).trim());
        Some(Self {
            name,
            kind,
            program: program.to_owned(),
            args,
            upstream: None,
        })
    }

    /// The same server under valgrind, which writes to `log` how many instructions it took.
    pub fn counted(mut self, log: &Path) -> Self {
        let program = std::mem::replace(&mut self.program, "valgrind".into());
        let options = [
            "--tool=cachegrind".to_owned(),
            "--cache-sim=no".to_owned(),
            "--cachegrind-out-file=/dev/null".to_owned(),
            format!("--log-file={}", log.display()),
            program.display().to_string(),
        ];
        self.args.splice(..0, options);
        self
    }

    /// Starts the server and waits until it accepts an upgrade.
    ///
    /// What a proxy stands in front of runs beside the load, so that the proxy has its core alone.
    pub fn start(&self) -> Result<Server> {
        self.start_on(SERVER_CORE)
    }

    fn start_on(&self, core: usize) -> Result<Server> {
        let upstream = self.upstream.as_deref();
        let upstream = upstream.map(|recipe| recipe.start_on(LOAD_CORE));
        let upstream = upstream.transpose()?.map(Box::new);
        let port = net::free_port()?;
        let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let data = tempfile::tempdir()?;
        let args = self.args.iter();
        let args = args.map(|arg| arg.replace("{addr}", &addr.to_string()));
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .env("WSWORKER_DATA", data.path())
            .env("PORT", port.to_string())
            .env("WSWORKER_ADDR", addr.to_string())
            .env("WSWORKER_THREADS", "1")
            .env("WSWORKER_MAX_MESSAGE", "32MiB")
            .envs(
                upstream
                    .iter()
                    .map(|up| ("UPSTREAM", format!("http://{}", up.addr))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // A child inherits the core of the thread that starts it.
        machine::pin(core)?;
        let child = command.spawn();
        machine::pin(LOAD_CORE)?;
        let mut server = Server {
            name: self.name,
            kind: self.kind,
            _data: data,
            child: child.with_context(|| format!("starting {}", self.program.display()))?,
            addr,
            upstream,
        };
        server.wait_until_ready()?;
        Ok(server)
    }
}

/// A running server; dropping it ends the process.
pub struct Server {
    /// The name in a table.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Removed with it.
    _data: TempDir,
    child: Child,
    addr: SocketAddrV4,
    upstream: Option<Box<Server>>,
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

/// A file of `peers`.
fn peer(file: &str) -> String {
    format!("{}/peers/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// A file beside this program: `target/release` holds all binaries, and `examples` below it.
pub fn beside(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap_or_default();
    path.set_file_name(name);
    path
}
