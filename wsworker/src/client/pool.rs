//! The connections that plain requests share, one set for each runtime: a connection is driven by a
//! task, and ends with that task's runtime.
//! Does not open them: `connect` does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
#[cfg(feature = "tls")]
use std::time::Duration;

use hyper_util::client::legacy::{self, Builder};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::body::Outgoing;
use super::connect::{Connector, Dial};
use super::settings::Settings;

/// hyper's client with its pool.
pub(super) type Http = legacy::Client<Dial, Outgoing>;

/// One client's pools.
pub(super) struct Pools {
    builder: Builder,
    connector: Arc<Connector>,
    pools: Mutex<HashMap<Id, Pool>>,
}

struct Pool {
    http: Http,
    /// Dropped with the pool: ends the task that waits for the runtime's end.
    _in_use: oneshot::Sender<()>,
}

impl Pools {
    pub(super) fn new(settings: &Settings, connector: Arc<Connector>) -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.pool_idle_timeout)
            .pool_max_idle_per_host(settings.pool_max_idle)
            .http1_max_buf_size(MAX_HEAD);
        if settings.pool_idle_timeout.is_zero() {
            // To hyper, zero is no limit of time.
            builder.pool_max_idle_per_host(0);
        }
        // Finds a connection that died without a word; else all requests on it would wait.
        #[cfg(feature = "tls")]
        builder
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(MAX_HEAD as u32);
        Self {
            builder,
            connector,
            pools: Mutex::default(),
        }
    }

    /// The pool of the runtime that this is called in.
    ///
    /// # Panics
    /// Outside of one.
    pub(super) fn here(self: &Arc<Self>) -> Http {
        let runtime = Handle::current().id();
        let mut pools = self.lock();
        if let Some(pool) = pools.get(&runtime) {
            return pool.http.clone();
        }
        let http: Http = self.builder.build(Dial(self.connector.clone()));
        let (in_use, unused) = oneshot::channel();
        let pool = Pool {
            http: http.clone(),
            _in_use: in_use,
        };
        pools.insert(runtime, pool);
        // Not under the lock: a runtime that is shutting down drops the task at once.
        drop(pools);
        let entry = Entry {
            pools: Arc::downgrade(self),
            runtime,
        };
        tokio::spawn(async move {
            let _entry = entry;
            let _ = unused.await;
        });
        http
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Pool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a runtime's pool when the runtime drops its tasks: its identifier may
/// be another's later, and dead connections would stay for ever.
struct Entry {
    pools: Weak<Pools>,
    runtime: Id,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(pools) = self.pools.upgrade() {
            let removed = pools.lock().remove(&self.runtime);
            // Outside the lock, as it runs hyper's code.
            drop(removed);
        }
    }
}

/// How large a response's head may be, in bytes.
pub(super) const MAX_HEAD: usize = 64 << 10;
/// How much of a response's body a server of HTTP/2 may send before it is read.
#[cfg(feature = "tls")]
const STREAM_WINDOW: u32 = 1 << 20;
/// So much for all responses on a connection that each has its own alone: else
/// those that nobody reads would hold up all others (RFC 9113 §5.2). The most that
/// there is.
#[cfg(feature = "tls")]
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
#[cfg(feature = "tls")]
const PING_INTERVAL: Duration = Duration::from_secs(30);
#[cfg(feature = "tls")]
const PING_TIMEOUT: Duration = Duration::from_secs(10);
