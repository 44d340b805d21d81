//! How to start each server.
//! Does not say which of them are compared.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{LOAD_CORE, SERVER_CORE, Server};
use crate::child::Process;
use crate::{machine, net, tls};

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
    /// Where Node finds that package.
    modules: Option<PathBuf>,
    /// What a proxy stands in front of.
    upstream: Option<Box<Recipe>>,
    /// Where its own directory is made, if not where temporary ones are.
    within: Option<PathBuf>,
    /// On all cores, with a thread for each.
    unpinned: bool,
    /// So many threads of a server that is on all cores, in place of one for each.
    threads: Option<usize>,
    /// Over TLS, with this run's certificate.
    tls: bool,
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

    /// A peer of this package that is written in Rust.
    pub fn peer(name: &'static str, program: &Path) -> Result<Self> {
        Self::built(name, program)
    }

    /// A program of `peers` on Bun's own WebSocket server.
    pub fn bun(program: &Path, script: &str) -> Self {
        Self {
            args: vec![peer(script).into()],
            package: Some("bun"),
            ..Self::new("Bun", program)
        }
    }

    /// A program of `peers` on Deno's own WebSocket server.
    pub fn deno(program: &Path, script: &str) -> Self {
        Self {
            args: vec![
                "run".into(),
                "--no-config".into(),
                "--allow-net".into(),
                "--allow-env=PORT,TLS_CERT,TLS_KEY".into(),
                "--allow-read=.".into(),
                peer(script).into(),
            ],
            package: Some("deno"),
            ..Self::new("Deno", program)
        }
    }

    /// A program of `peers` on the npm package `ws`, which Node finds in the directory `modules`.
    pub fn node_ws(modules: &Path, script: &str) -> Self {
        Self {
            args: vec![peer(script).into()],
            package: Some("ws"),
            modules: Some(absolute(modules).unwrap_or_else(|_| modules.to_owned())),
            ..Self::new("Node ws", Path::new("node"))
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
            modules: None,
            upstream: None,
            within: None,
            unpinned: false,
            threads: None,
            tls: false,
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

    /// On all cores, with so many threads.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self.unpinned()
    }

    /// Over TLS, with this run's certificate.
    pub fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Whether the peer is there; said loudly if it is not.
    pub fn is_there(&self) -> bool {
        let Some(package) = self.package else {
            return true;
        };
        let Some(version) = self.version() else {
            eprintln!(
                "\n*** NO {} at {}: its column is left out. Install it with `npm install {package}` \
                 and say where that was (--help tells how) ***\n",
                self.name,
                self.modules.as_ref().unwrap_or(&self.program).display()
            );
            return false;
        };
        eprintln!("{} {version}", self.name);
        true
    }

    /// The version of a peer that is from npm, as far as it is there.
    pub fn version(&self) -> Option<String> {
        let package = self.package?;
        let output = Command::new(&self.program).arg("--version").output().ok()?;
        let program = String::from_utf8_lossy(&output.stdout);
        // `deno 2.9.6 (stable, …)`, `workerd 2026-11-17`, `v20.20.2`, `1.4.5`: the first line's number.
        let first = program.lines().next().filter(|_| output.status.success())?;
        let number = |word: &&str| word.trim_start_matches('v').starts_with(char::is_numeric);
        let version = first.split_whitespace().find(number)?;
        let version = version.trim_start_matches('v');
        let Some(modules) = &self.modules else {
            return Some(version.to_owned());
        };
        let package = fs::read(modules.join(package).join("package.json")).ok()?;
        let package: serde_json::Value = serde_json::from_slice(&package).ok()?;
        Some(format!(
            "{} on Node {version}",
            package["version"].as_str()?
        ))
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
        // It ends with this process, also when that is killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .current_dir(&directory)
            .args(&self.args)
            .args(self.addr_arg.map(|before| format!("{before}{addr}")))
            .envs(self.modules.iter().map(|modules| ("NODE_PATH", modules)))
            .env("PORT", port.to_string())
            .env("WSWORKER_ADDR", addr.to_string())
            .env("WSWORKER_MAX_MESSAGE", "32MiB")
            .envs(
                upstream
                    .iter()
                    .map(|up| ("UPSTREAM", format!("http://{}", up.addr))),
            )
            .envs(self.certificate(directory.path())?)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(threads) = self.threads {
            command.env("WSWORKER_THREADS", threads.to_string());
        }
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
            process: Process::of(
                self.name,
                child.with_context(|| format!("starting {}", self.program.display()))?,
            ),
            addr,
            tls: self.tls,
            upstream,
            _directory: directory,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The variables that lead to it: ours, and the peers'.
    fn certificate(&self, directory: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
        if !self.tls {
            return Ok(Vec::new());
        }
        let (certificate, key) = tls::files(directory)?;
        Ok(vec![
            ("WSWORKER_TLS_CERT", certificate.clone()),
            ("WSWORKER_TLS_KEY", key.clone()),
            ("TLS_CERT", certificate),
            ("TLS_KEY", key),
        ])
    }
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
