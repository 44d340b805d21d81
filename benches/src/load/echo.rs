//! Echo: every connection sends a batch, waits for all of its replies, and sends it again.
//! Does not judge speed by the clock alone: the generator is often full before a good server is, so
//! the server's CPU time for each message is what counts.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use mio::{Events, Interest, Poll, Token};

use super::Target;
use super::conn::{Conn, PATIENCE};
use super::latency::Stopwatch;
use super::steady::{Report, Steady, Until};
use crate::frame::{Batch, opcode};
use crate::machine;

/// What to send, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// Connections.
    pub conns: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Messages in flight on each connection.
    pub depth: usize,
    /// Text instead of binary messages.
    pub text: bool,
    /// Time under the same load before the measured part.
    pub warm_up: Duration,
    /// When the measured part ends.
    pub until: Until,
}

/// Runs the load and measures the server.
pub fn run(target: Target, echo: Echo) -> Result<Report> {
    ensure!(
        echo.conns > 0 && echo.depth > 0,
        "an echo needs a connection and a message"
    );
    let mut generator = Generator::connect(target, echo)?;
    let steady = Steady {
        warm_up: echo.warm_up,
        until: echo.until,
    };
    steady.warm_up(|| generator.turn())?;
    if let Some(stopwatch) = &mut generator.stopwatch {
        stopwatch.reset();
    }
    let report = steady.measure(target, || generator.turn())?;
    let stopwatch = generator.stopwatch;
    Ok(Report {
        latency: stopwatch.and_then(|stopwatch| stopwatch.latency()),
        ..report
    })
}

/// All connections, on one poll.
struct Generator {
    poll: Poll,
    events: Events,
    conns: Vec<Conn>,
    /// All connections send the same bytes: masked once, and small enough for the cache.
    batch: Batch,
    buffer: Vec<u8>,
    /// Where one message is in flight: of several the first would wait for the last.
    stopwatch: Option<Stopwatch>,
}

impl Generator {
    fn connect(target: Target, echo: Echo) -> Result<Self> {
        machine::raise_open_files(echo.conns as u64 + 64)?;
        let poll = Poll::new()?;
        let mut conns = Vec::with_capacity(echo.conns);
        for nth in 0..echo.conns {
            let mut conn = Conn::open(target, nth)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(conn.socket(), Token(nth), interest)?;
            conns.push(conn);
        }
        let opcode = if echo.text {
            opcode::TEXT
        } else {
            opcode::BINARY
        };
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            conns,
            batch: Batch::new(opcode, echo.size, echo.depth),
            buffer: vec![0; 256 * 1024],
            stopwatch: match echo.depth {
                1 => Some(Stopwatch::new(echo.conns)?),
                _ => None,
            },
        })
    }

    /// One poll, and how many messages it brought back. The first events, "writable", set the
    /// connections going.
    fn turn(&mut self) -> Result<u64> {
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        if self.events.is_empty() {
            bail!("the server has answered nothing for {PATIENCE:?}");
        }
        let mut messages = 0;
        for event in &self.events {
            let nth = event.token().0;
            let conn = &mut self.conns[nth];
            if event.is_readable() && conn.receive(&self.batch, &mut self.buffer)? {
                messages += self.batch.depth as u64;
                if let Some(stopwatch) = &mut self.stopwatch {
                    stopwatch.lap(nth);
                }
                conn.send(&self.batch)?;
            } else if event.is_writable() {
                if let Some(stopwatch) = &mut self.stopwatch
                    && conn.is_at_rest()
                {
                    stopwatch.start(nth);
                }
                conn.send(&self.batch)?;
            }
        }
        Ok(messages)
    }
}
