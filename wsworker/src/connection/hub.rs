//! What many connections have in common: limits, surroundings, a clock.
//! Does not accept or read anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime;

use super::clock::{Clock, ticks};
use super::handle::Handle;
use super::wheel::Key;
use crate::env::Env;
use crate::protocol::close::{CloseCode, ClosePayload};

/// Limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a message.
    pub(crate) max_message: usize,
    /// Bytes that wait to be sent.
    pub(crate) max_buffered: usize,
    /// What a broadcast does with a full socket.
    pub(crate) slow: Slow,
    /// A peer that is silent for so long is gone.
    pub(crate) idle_timeout: Duration,
    /// A frame must be whole within this time, or bring 64 KiB in it.
    pub(crate) frame_timeout: Duration,
    /// How long a Close may take to be answered, by either side.
    pub(crate) close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 1 << 20,
            max_buffered: 1 << 20,
            slow: Slow::Close,
            idle_timeout: Duration::from_secs(120),
            frame_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// What a broadcast does with a socket whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// Closes it with 1013, try again later.
    #[default]
    Close,
    /// Drops that message for it.
    Drop,
}

/// Times in ticks.
pub(super) struct Times {
    pub(super) idle: u32,
    pub(super) frame: u32,
    pub(super) close: u32,
}

/// One for each thread of a server, or for each server in a user's runtime; and
/// one for each set of limits of the sockets outside servers.
pub(crate) struct Hub {
    pub(super) limits: Limits,
    /// The limits' times.
    pub(super) times: Times,
    pub(super) env: Env,
    clock: Arc<Clock>,
}

impl Hub {
    /// The hub of a server, with a clock of its own, so that a drain closes the
    /// server's connections and no others. [`run`](Self::run) makes it beat.
    pub(crate) fn new(limits: Limits, env: Env) -> Arc<Self> {
        Self::with(limits, env, Clock::new())
    }

    /// A hub for sockets outside any server, on that runtime. They share one
    /// clock, whatever their limits.
    pub(crate) fn on(runtime: &runtime::Handle, limits: Limits) -> Arc<Self> {
        Self::with(limits, Env::of_process().clone(), Clock::on(runtime))
    }

    fn with(limits: Limits, env: Env, clock: Arc<Clock>) -> Arc<Self> {
        Arc::new(Self {
            times: Times {
                // Two at least: one to ping, one to give up.
                idle: ticks(limits.idle_timeout).max(2),
                frame: ticks(limits.frame_timeout),
                close: ticks(limits.close_timeout),
            },
            limits,
            env,
            clock,
        })
    }

    /// Beats, for as long as the server may have connections.
    pub(crate) async fn run(self: Arc<Self>) {
        self.clock.run().await;
    }

    /// Closes every connection, and those that come later, in the usual order:
    /// Close, answer, end.
    pub(crate) fn close_all(&self, code: CloseCode, reason: &str) {
        self.clock.close_all(code, reason);
    }

    /// Drops every connection: their consumers hear 1006.
    pub(crate) fn stop(&self) {
        self.clock.stop();
    }

    /// The Close of a server that is going away.
    pub(super) fn closing(&self) -> Option<&ClosePayload> {
        self.clock.closing()
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.clock.is_stopped()
    }

    /// The tick of the last beat: a load, not a look at the clock.
    #[inline]
    pub(super) fn now(&self) -> u32 {
        self.clock.now()
    }

    /// Enters a connection. Inside the runtime that will drive it.
    pub(super) fn insert(&self, handle: Arc<Handle>) -> Key {
        self.clock.insert(handle)
    }

    pub(super) fn set(&self, key: Key, due: u32) {
        self.clock.set(key, due);
    }

    pub(super) fn remove(&self, key: Key) {
        self.clock.remove(key);
    }
}
