//! Round trips' times, as the load sees them: from before a message is written until its reply is read.
//! With many connections most of it is waiting for the others' turns, here and in the server.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

/// What nearly all round trips took at most, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half of them.
    pub p50_us: f64,
    /// 99 of a hundred.
    pub p99_us: f64,
    /// 999 of a thousand.
    pub p999_us: f64,
    /// All.
    pub max_us: f64,
}

/// Times, as many as there are, in little memory.
pub struct Times(Histogram<u64>);

impl Times {
    /// None yet.
    pub fn new() -> Result<Self> {
        const LEAST: Duration = Duration::from_nanos(100);
        const MOST: Duration = Duration::from_secs(60);
        /// Of a time: half a percent is less than a machine's own noise.
        const DIGITS: u8 = 3;
        let nanos = |time: Duration| time.as_nanos() as u64;
        let times = Histogram::new_with_bounds(nanos(LEAST), nanos(MOST), DIGITS)?;
        Ok(Self(times))
    }

    /// One more.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(time.as_nanos() as u64);
    }

    /// Forgets all.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// In ns, and how many of each.
    pub fn recorded(&self) -> Vec<(u64, u64)> {
        let values = self.0.iter_recorded();
        let values = values.map(|v| (v.value_iterated_to(), v.count_at_value()));
        values.collect()
    }

    /// Adds what another has [`recorded`](Self::recorded).
    pub fn add(&mut self, recorded: &[(u64, u64)]) {
        for &(nanos, count) in recorded {
            self.0.saturating_record_n(nanos, count);
        }
    }

    /// `None` if there are none.
    pub fn latency(&self) -> Option<Latency> {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        (!self.0.is_empty()).then(|| Latency {
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.0.max() as f64 / 1e3,
        })
    }
}

/// Takes note of round trips, one under way on each connection.
pub(super) struct Stopwatch {
    /// When each connection's message was sent.
    sent: Vec<Instant>,
    times: Times,
}

impl Stopwatch {
    /// For so many connections.
    pub(super) fn new(conns: usize) -> Result<Self> {
        Ok(Self {
            sent: vec![Instant::now(); conns],
            times: Times::new()?,
        })
    }

    /// A first message is about to be sent.
    pub(super) fn start(&mut self, conn: usize) {
        self.sent[conn] = Instant::now();
    }

    /// The reply has come, and the next message is about to be sent: one look at the clock for both.
    pub(super) fn lap(&mut self, conn: usize) {
        let now = Instant::now();
        self.times.record(now - self.sent[conn]);
        self.sent[conn] = now;
    }

    /// Forgets what was noted so far, but not what is under way.
    pub(super) fn reset(&mut self) {
        self.times.reset();
    }

    /// `None` if nothing has come back.
    pub(super) fn latency(&self) -> Option<Latency> {
        self.times.latency()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_the_reset_does_not_count() {
        let mut stopwatch = Stopwatch::new(2).unwrap();
        stopwatch.sent[1] -= Duration::from_millis(20);
        stopwatch.lap(1);
        assert!(stopwatch.latency().unwrap().p50_us >= 20_000.0);
        stopwatch.reset();
        assert_eq!(stopwatch.latency(), None);
        stopwatch.lap(1);
        assert!(stopwatch.latency().unwrap().p50_us < 20_000.0);
    }
    #[test]
    fn times_of_several_processes_add_up() {
        let (mut one, mut other) = (Times::new().unwrap(), Times::new().unwrap());
        (0..99).for_each(|_| one.record(Duration::from_micros(100)));
        other.record(Duration::from_millis(5));
        let mut all = Times::new().unwrap();
        [one, other]
            .iter()
            .for_each(|times| all.add(&times.recorded()));
        let latency = all.latency().unwrap();
        assert!((99.0..101.0).contains(&latency.p50_us), "{latency:?}");
        assert!((4_990.0..5_010.0).contains(&latency.max_us), "{latency:?}");
    }
}
