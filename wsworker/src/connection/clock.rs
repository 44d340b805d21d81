//! Time for many connections: one task that beats, one wheel of deadlines, which
//! is also the list of the living. Does not know what a deadline is for.
//!
//! A server makes its clocks, one for each thread, and beats them while it
//! lives. Sockets outside servers share one for each runtime, which is there
//! while any of them is and leaves nothing behind.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::handle::Handle;
use super::wheel::{Key, Wheel};
use crate::protocol::close::{CloseCode, ClosePayload};

pub(super) struct Clock {
    epoch: Instant,
    /// Ticks since `epoch`, as of the last beat, without those that were skipped.
    now: AtomicU32,
    /// Ticks in which this thread did not run: in those it heard nobody, and it
    /// must not take that for silence.
    skipped: AtomicU32,
    living: Mutex<Living>,
    /// Rung when the first connection comes.
    populated: Notify,
    /// The Close that every connection gets from now on.
    closing: OnceLock<ClosePayload>,
    stopped: AtomicBool,
}

struct Living {
    wheel: Wheel<Arc<Handle>>,
    /// Somebody beats, or is to.
    beating: bool,
}

impl Clock {
    /// The clock of a server's thread, which has to [`run`](Self::run) it.
    pub(super) fn new() -> Arc<Self> {
        Self::make(true)
    }

    /// The clock of the sockets on this runtime.
    pub(super) fn on(runtime: &runtime::Handle) -> Arc<Self> {
        let id = runtime.id();
        let mut clocks = clocks();
        let shared = clocks.iter().find(|(of, _)| *of == id);
        if let Some(clock) = shared.and_then(|(_, clock)| clock.upgrade()) {
            return clock;
        }
        let clock = Self::make(false);
        clocks.retain(|(_, clock)| clock.strong_count() > 0);
        clocks.push((id, Arc::downgrade(&clock)));
        clock
    }

    fn make(beating: bool) -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            now: AtomicU32::new(0),
            skipped: AtomicU32::new(0),
            living: Mutex::new(Living {
                wheel: Wheel::new(),
                beating,
            }),
            populated: Notify::new(),
            closing: OnceLock::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Beats while there are connections. One for each clock, for its whole life.
    pub(super) async fn run(&self) {
        loop {
            if self.living().wheel.len() == 0 {
                self.populated.notified().await;
            }
            self.beat().await;
        }
    }

    async fn beat(&self) {
        let (before, real) = (self.now(), std::time::Instant::now());
        sleep(TICK).await;
        let took = self.look().saturating_sub(before);
        // A test that advances tokio's clock lets time pass; no thread stood still.
        let late = took.min(ticks(real.elapsed())).saturating_sub(LATE);
        self.skipped.fetch_add(late, Ordering::Relaxed);
        let now = self.look();
        self.living().wheel.advance(now, |handle| handle.wake());
    }

    pub(super) fn close_all(&self, code: CloseCode, reason: &str) {
        let closing = self.closing.get_or_init(|| ClosePayload::cut(code, reason));
        for handle in self.handles() {
            match handle.takes_leave() {
                true => handle.wake(),
                false => handle.close(closing),
            }
        }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        for handle in self.handles() {
            handle.wake();
        }
    }

    pub(super) fn closing(&self) -> Option<&ClosePayload> {
        self.closing.get()
    }

    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The tick of the last beat: a load, not a look at the clock.
    #[inline]
    pub(super) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn insert(self: &Arc<Self>, handle: Arc<Handle>) -> Key {
        let mut living = self.living();
        if living.wheel.len() == 0 {
            // Nothing beat while nobody lived.
            let now = self.look();
            living.wheel.advance(now, |_| {});
            self.populated.notify_one();
        }
        let key = living.wheel.insert(handle);
        let silent = !std::mem::replace(&mut living.beating, true);
        drop(living);
        if silent {
            tokio::spawn(Beating::of(self.clone()).run());
        }
        key
    }

    pub(super) fn set(&self, key: Key, due: u32) {
        self.living().wheel.set(key, due);
    }

    pub(super) fn remove(&self, key: Key) {
        let removed = self.living().wheel.remove(key);
        // Dropped outside the lock: it may be the last handle.
        drop(removed);
    }

    fn handles(&self) -> Vec<Arc<Handle>> {
        self.living().wheel.iter().cloned().collect()
    }

    /// Looks at the time, for `now` to show.
    fn look(&self) -> u32 {
        let elapsed = self.epoch.elapsed().as_millis() / TICK.as_millis();
        // Three years, with room to add: a clock that stops is better than one
        // that turns over.
        let elapsed = u32::try_from(elapsed).map_or(u32::MAX / 2, |t| t.min(u32::MAX / 2));
        let now = elapsed.saturating_sub(self.skipped.load(Ordering::Relaxed));
        self.now.store(now, Ordering::Relaxed);
        now
    }

    fn living(&self) -> MutexGuard<'_, Living> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The beat of a clock that no server runs, as long as anybody needs it.
struct Beating {
    clock: Arc<Clock>,
    ended: bool,
}

impl Beating {
    fn of(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            ended: false,
        }
    }

    async fn run(mut self) {
        while !self.is_over() {
            self.clock.beat().await;
        }
    }

    /// Nobody lives any more: whoever comes next starts another beat.
    fn is_over(&mut self) -> bool {
        let mut living = self.clock.living();
        if living.wheel.len() == 0 {
            living.beating = false;
            self.ended = true;
        }
        self.ended
    }
}

/// It is over, or its runtime is. The clock is forgotten, as a runtime's id may
/// come again.
impl Drop for Beating {
    fn drop(&mut self) {
        clocks().retain(|(_, other)| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&self.clock)));
        if !self.ended {
            self.clock.living().beating = false;
        }
    }
}

/// The clocks of runtimes with sockets outside servers.
type Clocks = Vec<(runtime::Id, Weak<Clock>)>;

fn clocks() -> MutexGuard<'static, Clocks> {
    static CLOCKS: Mutex<Clocks> = Mutex::new(Vec::new());
    CLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole ticks in `time`, at least one unless it is zero.
pub(super) fn ticks(time: Duration) -> u32 {
    let ticks = time.as_millis().div_ceil(TICK.as_millis());
    // A year is as good as ever, and leaves room to add.
    u32::try_from(ticks).map_or(u32::MAX / 4, |ticks| ticks.min(u32::MAX / 4))
}

/// Ticks that a beat may take; more were a stall.
const LATE: u32 = 3;

/// How exact deadlines are.
const TICK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::time::advance;

    use super::super::{Collector, Hub, Limits, Opening, Role, Stream, Upgraded};
    use super::*;

    const IDLE: Duration = Duration::from_secs(2);

    fn limits() -> Limits {
        Limits {
            idle_timeout: IDLE,
            ..Limits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_gone_when_tokios_clock_jumps_past_its_time() {
        let (mut peer, stream) = duplex(1024);
        let opening = Opening {
            upgraded: Upgraded {
                stream: Stream::Memory(stream),
                read: Vec::new(),
                hub: Hub::on(&runtime::Handle::current(), limits()),
                remote_addr: None,
                guard: None,
            },
            protocol: None,
            opener: None,
        };
        opening.begin(Handle::new(Role::Server), Collector::deaf());
        sleep(TICK).await;
        let begun = Instant::now();
        advance(IDLE).await;
        // Maybe a ping, and the end.
        peer.read_to_end(&mut Vec::new()).await.unwrap();
        let took = begun.elapsed();
        assert!(took <= IDLE + TICK * 2, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_of_a_runtime_share_a_clock_that_leaves_with_the_last() {
        let here = runtime::Handle::current();
        let clock = Clock::on(&here);
        assert!(Arc::ptr_eq(&clock, &Clock::on(&here)));
        let keys = [(); 2].map(|()| clock.insert(Handle::new(Role::Client)));
        assert_eq!(here.metrics().num_alive_tasks(), 1);
        for key in keys {
            clock.remove(key);
        }
        sleep(TICK * 2).await;
        assert_eq!(here.metrics().num_alive_tasks(), 0);
        assert!(!Arc::ptr_eq(&clock, &Clock::on(&here)));
        // Who still has it may use it.
        let key = clock.insert(Handle::new(Role::Client));
        assert_eq!(here.metrics().num_alive_tasks(), 1);
        clock.remove(key);
    }

    #[test]
    fn a_runtime_that_ends_takes_its_clock_along() {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let clock = runtime.block_on(async {
            let clock = Clock::on(&runtime::Handle::current());
            clock.insert(Handle::new(Role::Client));
            clock
        });
        let is_known = || {
            let known = clocks();
            known
                .iter()
                .any(|(_, other)| std::ptr::eq(other.as_ptr(), Arc::as_ptr(&clock)))
        };
        assert!(is_known());
        drop(runtime);
        assert!(!is_known());
        assert!(!clock.living().beating);
    }
}
