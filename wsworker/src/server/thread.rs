//! What the connections of one thread, and of one server, share.
//! Does not start threads; `run` does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::limits::{Counts, Load};
use super::proxies::Proxies;
#[cfg(feature = "tls")]
use super::tls::Shared;
use crate::connection::Hub;
use crate::env::Env;
use crate::protocol::close::CloseCode;
use crate::protocol::handshake::Origins;
use crate::worker::Entry;

/// What all connections of a server share.
pub(super) struct Site {
    pub(super) entry: Entry,
    pub(super) env: Env,
    pub(super) origins: Origins,
    pub(super) proxies: Proxies,
    pub(super) counts: Arc<Counts>,
    pub(super) protocols: Arc<[Box<str>]>,
    pub(super) handshake_timeout: Duration,
    pub(super) max_body: usize,
    pub(super) max_header_size: usize,
    pub(super) http: http1::Builder,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<Shared>>,
}

impl Site {
    /// Do its TCP addresses speak TLS?
    pub(super) fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

/// A runtime that connections are served on, with what they share there: a
/// thread of `run`, or all of a user's runtime.
pub(super) struct Thread {
    pub(super) site: Arc<Site>,
    pub(super) hub: Arc<Hub>,
    pub(super) load: Arc<Load>,
    pub(super) runtime: Handle,
    /// Connections are accepted on this runtime too.
    pub(super) accepts: bool,
    phase: AtomicU8,
    /// Rung when the phase changes. One for each thread, so that connections of
    /// different threads do not contend for it.
    pub(super) turned: Notify,
}

/// Whether connections in their HTTP time go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// The request under way is the last.
    Draining,
    /// There is no more time.
    Stopped,
}

impl Thread {
    pub(super) fn new(site: Arc<Site>, hub: Arc<Hub>, runtime: Handle, accepts: bool) -> Arc<Self> {
        Arc::new(Self {
            load: Load::new(site.counts.clone()),
            site,
            hub,
            runtime,
            accepts,
            phase: AtomicU8::new(Phase::Serving as u8),
            turned: Notify::new(),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }

    /// Lets requests end, and closes every WebSocket with 1001, those too that
    /// open later.
    pub(super) fn drain(&self) {
        self.turn(Phase::Draining);
        self.hub
            .close_all(CloseCode::GOING_AWAY, "the server is shutting down");
    }

    /// Drops what is left.
    pub(super) fn stop(&self) {
        self.turn(Phase::Stopped);
        self.hub.stop();
    }

    fn turn(&self, to: Phase) {
        self.phase.fetch_max(to as u8, Ordering::AcqRel);
        self.turned.notify_waiters();
    }
}
