//! A bound server: serving, and the way to its end.
//! Does not start threads or hear signals; `run` does.

use std::fmt;
use std::future::poll_fn;
#[cfg(feature = "objects")]
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
#[cfg(feature = "objects")]
use tokio::time::Instant;
use tokio::time::{sleep, timeout};

use super::accept::Acceptor;
use super::address::{Address, Listener};
use super::limits::Counts;
#[cfg(feature = "objects")]
use super::objects::Living;
use super::proxies::Proxies;
use super::settings::Settings;
use super::thread::{Site, Thread};
#[cfg(feature = "tls")]
use super::tls::Shared;
use crate::connection::{Hub, Limits};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::log::warn_collected;
#[cfg(feature = "objects")]
use crate::object::Objects;
use crate::worker::Entry;

/// A server that has its addresses and does not accept yet: made by
/// [`Server::listen`](crate::Server::listen). Dropped, it gives them back.
#[must_use = "connections are accepted only by `serve`"]
pub struct Listening {
    site: Arc<Site>,
    limits: Limits,
    addresses: Vec<Address>,
    listeners: Vec<Listener>,
    drain_timeout: Duration,
    handle: ServerHandle,
}

/// Stops a server, and counts its connections, from any thread. Cheap to clone;
/// dropping it does nothing.
#[derive(Clone)]
pub struct ServerHandle(Arc<Control>);

struct Control {
    counts: Arc<Counts>,
    asked: AtomicBool,
    /// Rung once, when the end was asked for.
    bell: Notify,
    #[cfg(feature = "objects")]
    objects: Option<Arc<Objects>>,
}

impl Listening {
    pub(super) async fn bind(entry: Entry, settings: Settings) -> Result<Self> {
        settings.check()?;
        let default = [Address::Tcp(DEFAULT_ADDRESS.into())];
        let wanted = match &*settings.addresses {
            [] => &default,
            wanted => wanted,
        };
        let mut bound = Vec::new();
        for address in wanted {
            bound.extend(Listener::bind(address).await?);
        }
        Self::on(entry, settings, bound)
    }

    /// On what is bound. The settings were checked.
    pub(super) fn on(
        entry: Entry,
        settings: Settings,
        bound: Vec<(Address, Listener)>,
    ) -> Result<Self> {
        // Panics where the runtime keeps no time: now, and not at a first deadline.
        drop(sleep(Duration::ZERO));
        let proxies = Proxies::parse(&settings.trusted_proxies)?;
        #[cfg(feature = "tls")]
        let tls = settings.tls.map(Shared::load).transpose()?;
        let counts = Counts::new(
            settings.max_connections,
            settings.max_connections_per_address,
        );
        let (addresses, listeners) = bound.into_iter().unzip();
        let protocols = settings.protocols.into_iter().map(Into::into).collect();
        let env = Env::from_process(settings.vars, settings.secrets);
        #[cfg(feature = "objects")]
        let objects = settings.objects.install(&env)?;
        let site = Arc::new(Site {
            entry,
            env,
            origins: settings.origins,
            proxies,
            counts: counts.clone(),
            protocols,
            handshake_timeout: settings.handshake_timeout,
            max_body: settings.max_body,
            max_header_size: settings.max_header_size,
            http: http(settings.max_header_size),
            #[cfg(feature = "tls")]
            tls,
        });
        Ok(Self {
            site,
            limits: settings.limits,
            addresses,
            listeners,
            drain_timeout: settings.drain_timeout,
            handle: ServerHandle(Arc::new(Control {
                counts,
                asked: AtomicBool::new(false),
                bell: Notify::new(),
                #[cfg(feature = "objects")]
                objects,
            })),
        })
    }

    /// Where it listens, in the order of the calls of
    /// [`bind`](crate::Server::bind), with the ports that were taken for 0.
    pub fn local_addrs(&self) -> &[Address] {
        &self.addresses
    }

    /// Do the TCP addresses speak TLS?
    pub(super) fn is_secure(&self) -> bool {
        self.site.is_secure()
    }

    /// What stops the server.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until [`ServerHandle::shutdown`]: on the current runtime, in which
    /// each connection is a task of its own.
    ///
    /// Dropped before its end, it stops to accept at once, and its connections
    /// end as after `shutdown`, without anyone waiting for it.
    ///
    /// # Errors
    /// None that can be foreseen: a connection that cannot be accepted is
    /// logged, and the next one tried.
    pub async fn serve(self) -> Result<()> {
        self.serve_on(&[]).await.map(drop)
    }

    /// Serves on the current runtime and on those. Gives how many connections
    /// had to be dropped at the end.
    pub(super) async fn serve_on(self, others: &[Handle]) -> Result<usize> {
        let thread = |runtime: Handle, accepts| {
            let hub = Hub::new(self.limits, self.site.env.clone());
            Thread::new(self.site.clone(), hub, runtime, accepts)
        };
        let mut threads = vec![thread(Handle::current(), true)];
        threads.extend(others.iter().map(|other| thread(other.clone(), false)));
        let threads: Arc<[_]> = threads.into();

        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let span = tracing::info_span!("server", addresses = addresses.join(","));
        span.in_scope(|| tracing::info!(threads = threads.len(), "listening"));

        let mut serving = Serving::start(threads, self.drain_timeout, span);
        #[cfg(feature = "objects")]
        if let Some(objects) = &self.handle.0.objects {
            serving.ending.objects = Some(Living::start(objects.clone()));
        }
        for listener in self.listeners {
            let acceptor = Acceptor::new(listener, serving.ending.threads.clone());
            serving.accepting.spawn(acceptor.run());
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.site.tls {
            serving.accepting.spawn(tls.clone().follow());
        }
        let failed = {
            let mut asked = pin!(self.handle.0.asked());
            poll_fn(|cx| match serving.accepting.poll_join_next(cx) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending => asked.as_mut().poll(cx).map(|()| false),
            })
            .await
        };
        // The listeners are gone when their tasks are.
        serving.accepting.shutdown().await;
        let dropped = serving.ending.drain().await;
        match failed {
            true => Err(Error::new("accepting connections has ended unexpectedly")),
            false => Ok(dropped),
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Listening");
        shown.field("addresses", &self.addresses);
        shown.finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Drains: no connection is accepted any more, requests under way are
    /// answered, every WebSocket is closed with 1001. `serve` returns when all
    /// have ended; those that have not after
    /// [`drain_timeout`](crate::Server::drain_timeout) are dropped, and it
    /// returns a quarter of a second later at most. Returns at once; a second
    /// call does nothing.
    pub fn shutdown(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.bell.notify_one();
    }

    /// How many connections are open, WebSockets and others.
    pub fn connections(&self) -> usize {
        self.0.counts.open()
    }

    /// Copies the state of all Durable Objects at one moment into a new file, while the
    /// server goes on: every commit that has returned is in it. What is at `path` is
    /// always complete, and synced. The databases of objects with `sql` go to a directory
    /// `objects` beside it, each of one moment. Named `objects.db` in an empty directory, it
    /// is with these what [`Server::data`](crate::Server::data) opens.
    ///
    /// Dropping the future does not stop it.
    ///
    /// # Errors
    /// There is a file at `path` already, or it cannot be written; the server has no
    /// class of objects, or a [`storage`](crate::Server::storage) that cannot be backed up.
    #[cfg(feature = "objects")]
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        Objects::backup(self.0.objects.as_deref(), path.as_ref()).await
    }

    /// How many Durable Objects are in memory, awake or hibernating.
    #[cfg(feature = "objects")]
    pub fn objects(&self) -> usize {
        self.0.objects.as_ref().map_or(0, |objects| objects.len())
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ServerHandle");
        shown.field("connections", &self.connections());
        shown.finish_non_exhaustive()
    }
}

impl Control {
    async fn asked(&self) {
        while !self.asked.load(Ordering::Acquire) {
            self.bell.notified().await;
        }
    }
}

/// What runs while a server serves. Dropped before the end, it lets the
/// connections end on their own.
struct Serving {
    accepting: JoinSet<()>,
    ending: Ending,
}

impl Serving {
    fn start(threads: Arc<[Arc<Thread>]>, drain_timeout: Duration, span: tracing::Span) -> Self {
        // A runtime's hub beats on that runtime.
        let beats = threads
            .iter()
            .map(|thread| {
                thread
                    .runtime
                    .spawn(thread.hub.clone().run())
                    .abort_handle()
            })
            .collect();
        Self {
            accepting: JoinSet::new(),
            ending: Ending {
                threads,
                beats,
                drain_timeout,
                span,
                drained: false,
                #[cfg(feature = "objects")]
                objects: None,
            },
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.ending.drained {
            return;
        }
        self.accepting.abort_all();
        let mut ending = self.ending.take();
        let runtime = ending.threads[0].runtime.clone();
        runtime.spawn(async move {
            ending.drain().await;
        });
    }
}

/// The end of a server: what must still run, and how long.
struct Ending {
    threads: Arc<[Arc<Thread>]>,
    beats: Vec<tokio::task::AbortHandle>,
    drain_timeout: Duration,
    span: tracing::Span,
    drained: bool,
    #[cfg(feature = "objects")]
    objects: Option<Living>,
}

impl Ending {
    /// Closes what is open, and waits until nothing is, or there is no more time.
    /// Gives how many were left then, and dropped.
    async fn drain(&mut self) -> usize {
        let counts = self.threads[0].site.counts.clone();
        let open = counts.open();
        self.span.in_scope(|| tracing::info!(open, "draining"));
        self.threads.iter().for_each(|thread| thread.drain());
        #[cfg(feature = "objects")]
        let deadline = Instant::now() + self.drain_timeout;
        let in_time = timeout(self.drain_timeout, counts.empty()).await.is_ok();
        let dropped = if in_time { 0 } else { counts.open() };
        if in_time {
            self.span.in_scope(|| tracing::info!("drained"));
        } else {
            let what = format!("not drained in time: dropping {dropped} connections");
            // `run` says it itself.
            self.span.in_scope(|| warn_collected(&what));
            self.threads.iter().for_each(|thread| thread.stop());
            // Theirs is to notice; not to take the time that is over.
            let _ = timeout(NOTICING, counts.empty()).await;
        }
        #[cfg(feature = "objects")]
        if let Some(objects) = &mut self.objects {
            let left = deadline.saturating_duration_since(Instant::now());
            objects.end(left.max(NOTICING)).await;
        }
        self.drained = true;
        // What a handler that never returns keeps open still needs its deadlines.
        let beats = std::mem::take(&mut self.beats);
        let end = async move {
            counts.empty().await;
            beats.iter().for_each(tokio::task::AbortHandle::abort);
        };
        match in_time {
            true => end.await,
            false => drop(self.threads[0].runtime.spawn(end)),
        }
        dropped
    }

    fn take(&mut self) -> Self {
        Self {
            threads: self.threads.clone(),
            beats: std::mem::take(&mut self.beats),
            drain_timeout: self.drain_timeout,
            span: self.span.clone(),
            drained: false,
            #[cfg(feature = "objects")]
            objects: self.objects.take(),
        }
    }
}

/// How hyper is to speak HTTP/1.
fn http(max_header_size: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(max_header_size)
        // What is buffered of bodies too; hyper wants 8 KiB at least.
        .max_buf_size(max_header_size.max(8 << 10))
        // The clock is `conn`'s, which answers 408.
        .header_read_timeout(None);
    builder
}

/// Loopback, as a first try should be; the port that the Workers tools use.
pub(super) const DEFAULT_ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8787);
/// How long what was dropped may take to end.
const NOTICING: Duration = Duration::from_millis(250);
