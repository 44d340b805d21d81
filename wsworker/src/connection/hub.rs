//! What the connections of one thread share: limits, surroundings, the clock
//! and the list of the living. Does not accept or read anything.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::handle::Handle;
use super::wheel::{Key, Wheel};
use crate::env::Env;
use crate::protocol::close::{CloseCode, ClosePayload};

/// Limits of every connection of a server.
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

/// One for each thread of a server, or for each server in a user's runtime.
pub(crate) struct Hub {
    pub(super) limits: Limits,
    /// The limits' times.
    pub(super) times: Times,
    pub(super) env: Env,
    epoch: Instant,
    /// The same moment on the system's clock, which nobody pauses or advances.
    real_epoch: std::time::Instant,
    /// Ticks since `epoch`, as of the last beat, without those that were skipped.
    now: AtomicU32,
    /// Ticks since `real_epoch`, as of the last beat.
    real_now: AtomicU32,
    /// Ticks in which this thread did not run: in those it heard nobody, and it
    /// must not take that for silence.
    skipped: AtomicU32,
    wheel: Mutex<Wheel<Arc<Handle>>>,
    /// Rung when the first connection comes.
    populated: Notify,
    /// The Close that every connection gets from now on.
    closing: OnceLock<ClosePayload>,
    stopped: AtomicBool,
}

impl Hub {
    pub(crate) fn new(limits: Limits, env: Env) -> Arc<Self> {
        Arc::new(Self {
            times: Times {
                // Two at least: one to ping, one to give up.
                idle: ticks(limits.idle_timeout).max(2),
                frame: ticks(limits.frame_timeout),
                close: ticks(limits.close_timeout),
            },
            limits,
            env,
            epoch: Instant::now(),
            real_epoch: std::time::Instant::now(),
            now: AtomicU32::new(0),
            real_now: AtomicU32::new(0),
            skipped: AtomicU32::new(0),
            wheel: Mutex::new(Wheel::new()),
            populated: Notify::new(),
            closing: OnceLock::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Beats while there are connections. One for each hub, for its whole life.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            if self.len() == 0 {
                self.populated.notified().await;
            }
            let (before, real_before) = (self.now(), self.real_now());
            sleep(TICK).await;
            let took = self.clock().saturating_sub(before);
            // A test that advances tokio's clock lets time pass; no thread stood still.
            let really = self.real_now().saturating_sub(real_before);
            let late = took.min(really).saturating_sub(LATE);
            self.skipped.fetch_add(late, Ordering::Relaxed);
            let now = self.clock();
            self.wheel().advance(now, |handle| handle.wake());
        }
    }

    /// Closes every connection, and those that come later, in the usual order:
    /// Close, answer, end.
    pub(crate) fn close_all(&self, code: CloseCode, reason: &str) {
        let closing = self.closing.get_or_init(|| ClosePayload::cut(code, reason));
        for handle in self.handles() {
            handle.close(closing);
        }
    }

    /// Drops every connection: their consumers hear 1006.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        for handle in self.handles() {
            handle.wake();
        }
    }

    /// The Close of a server that is going away.
    pub(super) fn closing(&self) -> Option<&ClosePayload> {
        self.closing.get()
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// How many connections live.
    pub(crate) fn len(&self) -> usize {
        self.wheel().len()
    }

    /// The tick of the last beat: a load, not a look at the clock.
    #[inline]
    pub(super) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn insert(&self, handle: Arc<Handle>) -> Key {
        let mut wheel = self.wheel();
        if wheel.len() == 0 {
            // Nothing beat while nobody lived.
            let now = self.clock();
            wheel.advance(now, |_| {});
            self.populated.notify_one();
        }
        wheel.insert(handle)
    }

    pub(super) fn set(&self, key: Key, due: u32) {
        self.wheel().set(key, due);
    }

    pub(super) fn remove(&self, key: Key) {
        let removed = self.wheel().remove(key);
        // Dropped outside the lock: it may be the last handle.
        drop(removed);
    }

    fn handles(&self) -> Vec<Arc<Handle>> {
        self.wheel().iter().cloned().collect()
    }

    /// Looks at the clocks, for `now` and `real_now` to show.
    fn clock(&self) -> u32 {
        let now = ticks_since(self.epoch.elapsed()) - self.skipped.load(Ordering::Relaxed);
        self.now.store(now, Ordering::Relaxed);
        let real = ticks_since(self.real_epoch.elapsed());
        self.real_now.store(real, Ordering::Relaxed);
        now
    }

    fn real_now(&self) -> u32 {
        self.real_now.load(Ordering::Relaxed)
    }

    fn wheel(&self) -> MutexGuard<'_, Wheel<Arc<Handle>>> {
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole ticks in `time`, at least one unless it is zero.
fn ticks(time: Duration) -> u32 {
    let ticks = time.as_millis().div_ceil(TICK.as_millis());
    // A year is as good as ever, and leaves room to add.
    u32::try_from(ticks).map_or(u32::MAX / 4, |ticks| ticks.min(u32::MAX / 4))
}

/// Ticks that are over after `time`.
fn ticks_since(time: Duration) -> u32 {
    let ticks = time.as_millis() / TICK.as_millis();
    // Three years, with room to add: a clock that stops is better than one that
    // turns over.
    u32::try_from(ticks).map_or(u32::MAX / 2, |ticks| ticks.min(u32::MAX / 2))
}

/// Ticks that a beat may take; more were a stall.
const LATE: u32 = 3;

/// How exact deadlines are.
const TICK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::advance;

    use super::super::{Connection, Consumer, Event, Inbox, Turned};
    use super::*;

    const IDLE: Duration = Duration::from_secs(2);

    fn hub() -> Arc<Hub> {
        let limits = Limits {
            max_message: 1024,
            max_buffered: 1024,
            slow: Slow::Close,
            idle_timeout: IDLE,
            frame_timeout: IDLE,
            close_timeout: IDLE,
        };
        Hub::new(limits, Env::default())
    }

    /// Hears nothing.
    struct Deaf;

    impl Consumer for Deaf {
        async fn messages(self, mut inbox: Inbox) -> Turned<Self> {
            while inbox.next().await.is_some() {}
            (self, Ok(()))
        }

        async fn event(self, _event: Event) -> Turned<Self> {
            (self, Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_gone_when_tokios_clock_jumps_past_its_time() {
        let hub = hub();
        let beats = tokio::spawn(hub.clone().run());
        let (mut peer, stream) = duplex(1024);
        let handle = Handle::new(hub.clone(), None, None);
        let connection = Connection::new(stream, Vec::new(), handle, Deaf, None);
        let connection = tokio::spawn(connection);
        sleep(TICK).await;
        let begun = Instant::now();
        advance(IDLE).await;
        connection.await.unwrap();
        // Maybe a ping, and the end.
        peer.read_to_end(&mut Vec::new()).await.unwrap();
        let took = begun.elapsed();
        assert!(took <= IDLE + TICK * 2, "{took:?}");
        beats.abort();
    }
}
