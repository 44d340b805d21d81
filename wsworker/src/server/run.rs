//! `run`: a server that owns the process, its threads, its signals and its words.
//! Does not serve by itself: `listening` does, on the runtimes made here.

use std::sync::mpsc;
use std::thread::{self, available_parallelism};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::listening::{Listening, ServerHandle};
use super::settings::Settings;
use super::signals::Signals;
use super::{Server, words};
use crate::connection::settle_here;
use crate::error::{Error, Result};
use crate::worker::{Entry, Worker};

/// Runs a worker as the process's own business: a thread for each core,
/// settings from the environment, and an orderly end.
///
/// The first SIGINT (Ctrl-C) or SIGTERM drains, as
/// [`ServerHandle::shutdown`](crate::ServerHandle::shutdown) does, and `run`
/// returns `Ok`. A second one exits at once, with status 130 or 143, whatever
/// the threads are busy with. Where it listens, how to try it, and how the drain
/// went is printed on stdout. Errors and warnings go to `tracing`, and to stderr
/// where no subscriber is set.
///
/// Each setting is taken from the environment, else from [`Server`]'s methods
/// ([`Server::run`]), else from `#[worker(...)]`, else from its default. An
/// empty variable counts as not set; a `WSWORKER_` one that is not in this
/// table is an error, so that a typing error is found (those that Kubernetes
/// makes for a service of that name are not looked at).
///
/// | variable | default | what it takes |
/// | --- | --- | --- |
/// | `WSWORKER_ADDR` | `127.0.0.1:8787` | [addresses](crate::Address), with commas |
/// | `WSWORKER_THREADS` | one for each core | a number up to 1024 |
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
/// | `WSWORKER_DATA` | `wsworker-data` | the directory of Durable Objects' state; needs the feature `objects` |
/// | `WSWORKER_TLS_CERT` | none | a certificate's file, in PEM; needs the feature `tls` |
/// | `WSWORKER_TLS_KEY` | none | its key's file; one is not set without the other |
///
/// # Errors
/// Inside a tokio runtime, where [`Server::serve`] is the one to call; a
/// setting that is wrong; an address, a thread or a signal that cannot be had.
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
    let drain_timeout = settings.drain_timeout;

    // Connections are accepted on this thread and served on all.
    let runtime = runtime()?;
    let _settled = settle_here();
    #[cfg(feature = "objects")]
    let place = settings.objects.place();
    let listening = runtime.block_on(Listening::bind(entry, settings))?;
    let signals = {
        let _inside = runtime.enter();
        Signals::hear()?
    };
    let threads = Threads::start(count - 1)?;
    #[cfg(feature = "objects")]
    if let Some(place) = place {
        words::say(&words::state(&place));
    }
    words::say(&words::listening(
        listening.local_addrs(),
        listening.is_secure(),
    ));
    runtime.spawn(drain_on(signals, listening.handle(), drain_timeout));
    let served = runtime.block_on(listening.serve_on(&threads.runtimes));
    // What a worker left on a thread pool does not hold up the end.
    runtime.shutdown_background();
    threads.stop();
    words::say(&words::drained(served?));
    Ok(())
}

async fn drain_on(mut signals: Signals, server: ServerHandle, time: Duration) {
    signals.first().await;
    let open = server.connections();
    server.shutdown();
    if open > 0 {
        words::say(&words::draining(open, time));
    }
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
                let _settled = settle_here();
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

/// How long the end waits for threads that have nothing left to serve.
const STOPPING: Duration = Duration::from_secs(1);
