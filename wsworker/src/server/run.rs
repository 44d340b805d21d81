//! `run`: a server that owns the process, its threads, its signals and its first words.
//! Does not serve by itself: `listening` does, on the runtimes made here.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;
use std::thread::{self, available_parallelism};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::Server;
use super::address::Address;
use super::listening::{Listening, ServerHandle};
use super::settings::Settings;
use crate::error::{Error, Result};
use crate::worker::{Entry, Worker};

/// Runs a worker as the process's own business: a thread for each core,
/// settings from the environment, and an orderly end.
///
/// The first SIGINT (Ctrl-C) or SIGTERM drains, as
/// [`ServerHandle::shutdown`](crate::ServerHandle::shutdown) does, and `run`
/// returns `Ok`. A second one exits at once, with status 130 or 143. Where it
/// listens is printed at start.
///
/// Each setting is taken from the environment, else from [`Server`]'s methods
/// ([`Server::run`]), else from `#[worker(...)]`, else from its default. An
/// empty variable counts as not set; a `WSWORKER_` one that is not in this
/// table is an error, so that a typing error is found (those that Kubernetes
/// makes for a service of that name are not looked at).
///
/// | variable | default | what it takes |
/// | --- | --- | --- |
/// | `WSWORKER_ADDR` | `127.0.0.1:8787` | [addresses](Address), with commas |
/// | `WSWORKER_THREADS` | one for each core | a number |
/// | `WSWORKER_MAX_MESSAGE` | `1MiB` | a size: `65536`, `32MiB` |
/// | `WSWORKER_MAX_BUFFERED` | `1MiB` | a size |
/// | `WSWORKER_SLOW` | `close` | `close` or `drop` |
/// | `WSWORKER_IDLE_TIMEOUT` | `2m` | a time: `500ms`, `10s`, `2m` |
/// | `WSWORKER_HANDSHAKE_TIMEOUT` | `10s` | a time |
/// | `WSWORKER_FRAME_TIMEOUT` | `30s` | a time |
/// | `WSWORKER_CLOSE_TIMEOUT` | `5s` | a time |
/// | `WSWORKER_DRAIN_TIMEOUT` | `10s` | a time |
/// | `WSWORKER_PROTOCOLS` | none | [subprotocols](Server::protocols), with commas |
/// | `WSWORKER_ORIGINS` | none | [foreign origins](Server::origins), with commas |
/// | `WSWORKER_MAX_CONNECTIONS` | `1000000` | a number |
/// | `WSWORKER_MAX_CONNECTIONS_PER_ADDRESS` | no limit | a number |
/// | `WSWORKER_TRUSTED_PROXIES` | none | [networks](Server::trusted_proxies), with commas |
/// | `WSWORKER_MAX_HEADER_SIZE` | `16KiB` | a size |
/// | `WSWORKER_MAX_BODY` | `1MiB` | a size |
///
/// # Errors
/// Inside a tokio runtime, where [`Server::serve`] is the one to call; a
/// setting that is wrong; an address that cannot be had.
pub fn run(worker: impl Worker) -> Result<()> {
    Server::new(worker).run()
}

pub(super) fn run_server(entry: Entry, mut settings: Settings) -> Result<()> {
    if Handle::try_current().is_ok() {
        return Err(Error::config(
            "run starts runtimes of its own and was called inside one; there, \
             await Server::serve instead: Server::new(worker).serve().await",
        ));
    }
    settings.apply(std::env::vars_os())?;
    settings.check()?;
    let cores = || available_parallelism().map_or(1, usize::from);
    let count = settings.threads.unwrap_or_else(cores);

    // Connections are accepted on this thread and served on all.
    let runtime = runtime()?;
    let listening = runtime.block_on(Listening::bind(entry, settings))?;
    hear_signals(listening.handle())?;
    let threads = Threads::start(count - 1)?;
    announce(listening.local_addrs());
    let served = runtime.block_on(listening.serve_on(&threads.runtimes));
    // What a worker left on a thread pool does not hold up the end.
    runtime.shutdown_background();
    threads.stop();
    served
}

fn runtime() -> Result<Runtime> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|e| Error::io("cannot start a runtime", e))
}

/// The other threads, each with a runtime of its own.
struct Threads {
    runtimes: Vec<Handle>,
    stops: Vec<oneshot::Sender<()>>,
    /// Disconnected when all threads have ended.
    ended: mpsc::Receiver<()>,
}

impl Threads {
    fn start(count: usize) -> Result<Self> {
        let (alive, ended) = mpsc::channel();
        let mut threads = Self {
            runtimes: Vec::new(),
            stops: Vec::new(),
            ended,
        };
        for n in 1..=count {
            let (stop, stopped) = oneshot::channel();
            let (runtime, alive) = (runtime()?, alive.clone());
            threads.runtimes.push(runtime.handle().clone());
            threads.stops.push(stop);
            let body = move || {
                // Stopped, or dropped by a `run` that failed: the same to us.
                let _ = runtime.block_on(stopped);
                runtime.shutdown_background();
                drop(alive);
            };
            let named = thread::Builder::new().name(format!("wsworker-{n}"));
            let spawned = named.spawn(body);
            spawned.map_err(|e| Error::io("cannot start a thread", e))?;
        }
        Ok(threads)
    }

    /// Waits for the threads, but not for one whose handler never returns.
    fn stop(self) {
        drop(self.stops);
        let _ = self.ended.recv_timeout(STOPPING);
    }
}

/// Hears signals on a thread of its own: a handler that blocks all the others
/// must not keep Ctrl-C from working.
fn hear_signals(server: ServerHandle) -> Result<()> {
    let failed = |e| Error::io("cannot listen for signals", e);
    let runtime = runtime()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(failed)?
    };
    let named = thread::Builder::new().name("wsworker-signals".into());
    let spawned = named.spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            server.shutdown();
            let status = signals.next().await;
            std::process::exit(status);
        });
    });
    spawned.map(drop).map_err(failed)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one, as the exit status of who dies of it.
    async fn next(&mut self) -> i32 {
        std::future::poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(130);
            }
            self.terminate.poll_recv(cx).map(|_| 143)
        })
        .await
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        // Without it there is no orderly end, and nothing else to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        130
    }
}

/// Says where the server listens, and how to try it with what people have.
fn announce(addresses: &[Address]) {
    let mut text = String::new();
    for address in addresses {
        match address {
            Address::Tcp(addr) => text += &format!("listening on ws://{addr}\n"),
            other => text += &format!("listening on {other}\n"),
        }
    }
    let tcp = addresses.iter().find_map(|address| match address {
        Address::Tcp(addr) => Some(reachable(*addr)),
        _ => None,
    });
    if let Some(addr) = tcp {
        text += &format!("try it: npx wscat -c ws://{addr}\n");
        text += &format!("or in a browser: open http://{addr} and enter in its console\n");
        text += "    ws = new WebSocket(location.href.replace(/^http/, \"ws\")); \
                 ws.onmessage = e => console.log(e.data); \
                 ws.onopen = () => ws.send(\"hello\")\n";
    }
    // Nobody may be reading it, which is no reason to fail.
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The address under which this machine reaches one that stands for all.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

/// How long the end waits for threads that have nothing left to serve.
const STOPPING: Duration = Duration::from_secs(1);
