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

/// Takes note of round trips, one under way on each connection.
pub(super) struct Stopwatch {
    /// When each connection's message was sent.
    sent: Vec<Instant>,
    /// In ns.
    times: Histogram<u64>,
}

impl Stopwatch {
    /// For so many connections.
    pub(super) fn new(conns: usize) -> Result<Self> {
        const LEAST: Duration = Duration::from_nanos(100);
        const MOST: Duration = Duration::from_secs(60);
        /// Of a time: half a percent is less than a machine's own noise.
        const DIGITS: u8 = 3;
        let nanos = |time: Duration| time.as_nanos() as u64;
        Ok(Self {
            sent: vec![Instant::now(); conns],
            times: Histogram::new_with_bounds(nanos(LEAST), nanos(MOST), DIGITS)?,
        })
    }

    /// A first message is about to be sent.
    pub(super) fn start(&mut self, conn: usize) {
        self.sent[conn] = Instant::now();
    }

    /// The reply has come, and the next message is about to be sent: one look at the clock for both.
    pub(super) fn lap(&mut self, conn: usize) {
        let now = Instant::now();
        let nanos = (now - self.sent[conn]).as_nanos() as u64;
        self.times.saturating_record(nanos);
        self.sent[conn] = now;
    }

    /// Forgets what was noted so far, but not what is under way.
    pub(super) fn reset(&mut self) {
        self.times.reset();
    }

    /// `None` if nothing has come back.
    pub(super) fn latency(&self) -> Option<Latency> {
        let at = |quantile| self.times.value_at_quantile(quantile) as f64 / 1e3;
        (!self.times.is_empty()).then(|| Latency {
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: self.times.max() as f64 / 1e3,
        })
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
}
