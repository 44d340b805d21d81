//! A load that goes on until it is told to end: the server under it is measured from a moment when it
//! has long begun to one when it has not yet ended.
//! Does not know what the load is.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::Target;
use super::latency::Latency;
use crate::process::{Memory, Usage};

/// How long.
#[derive(Debug, Clone, Copy)]
pub struct Steady {
    /// Time under the same load before the measured part.
    pub warm_up: Duration,
    /// When the measured part ends.
    pub until: Until,
}

/// The end of the measured part.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this time.
    Elapsed(Duration),
    /// Once so many messages have come.
    Messages(u64),
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Messages that came, checked.
    pub messages: u64,
    /// Length of the measured part.
    pub seconds: f64,
    /// Messages a second.
    pub per_second: f64,
    /// The server's CPU time for each message.
    pub cpu_us: f64,
    /// The part of it in user space, rough: from ticks of 10 ms.
    pub user_us: f64,
    /// The server's context switches for each message.
    pub context_switches: f64,
    /// The server's memory at the end.
    pub memory: Memory,
    /// Round trips, where each message waits for the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

impl Steady {
    /// Runs the load, turn after turn, and measures the server. A turn gives how many messages came.
    pub fn run(self, target: Target, mut turn: impl FnMut() -> Result<u64>) -> Result<Report> {
        self.warm_up(&mut turn)?;
        self.measure(target, turn)
    }

    /// The part before the measured one.
    pub fn warm_up(self, mut turn: impl FnMut() -> Result<u64>) -> Result<()> {
        let end = Instant::now() + self.warm_up;
        while Instant::now() < end {
            turn()?;
        }
        Ok(())
    }

    /// The measured part alone.
    pub fn measure(self, target: Target, mut turn: impl FnMut() -> Result<u64>) -> Result<Report> {
        let mut messages = 0;
        let before = Usage::read(target.pid)?;
        let start = Instant::now();
        while !self.until.reached(start, messages) {
            messages += turn()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let spent = Usage::read(target.pid)?.since(&before);

        let each = |total: f64| total / messages as f64;
        Ok(Report {
            messages,
            seconds,
            per_second: messages as f64 / seconds,
            cpu_us: each(spent.cpu_us),
            user_us: each(spent.user_us),
            context_switches: each(spent.context_switches as f64),
            memory: Memory::read(target.pid)?,
            latency: None,
        })
    }
}

impl Until {
    fn reached(self, start: Instant, messages: u64) -> bool {
        match self {
            Self::Elapsed(time) => start.elapsed() >= time,
            Self::Messages(count) => messages >= count,
        }
    }
}
