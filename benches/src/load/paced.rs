//! Echo at a pace of all connections together: they send in turn, with one message in flight on each.
//! Connections beyond those at work stay open and idle.
//! Does not sleep: it looks for replies all the time, so that its core is full at any pace.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mio::{Events, Interest, Poll, Token};

use super::Target;
use super::conn::{Conn, PATIENCE};
use super::steady::{Report, Steady, Until};
use crate::frame::{Batch, opcode};
use crate::machine;

/// Who sends, how often, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Paced {
    /// The first so many connections are at work.
    pub active: usize,
    /// Of all of them together.
    pub pace: Pace,
    /// Time under the same load before the measured part.
    pub warm_up: Duration,
    /// When the measured part ends.
    pub until: Until,
}

/// How often the next connection sends.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many messages a second, those of each millisecond together.
    Rate(f64),
    /// As soon as fewer than so many are in flight.
    InFlight(u64),
}

/// All connections, on one poll.
pub struct Connections {
    target: Target,
    poll: Poll,
    events: Events,
    conns: Vec<Conn>,
    batch: Batch,
    buffer: Vec<u8>,
}

impl Connections {
    /// Opens so many, for messages of `size` bytes.
    pub fn open(target: Target, count: usize, size: usize) -> Result<Self> {
        machine::raise_open_files(count as u64 + 64)?;
        let poll = Poll::new()?;
        let mut conns = Vec::with_capacity(count);
        for nth in 0..count {
            let mut conn = Conn::open(target, nth)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(conn.socket(), Token(nth), interest)?;
            conns.push(conn);
        }
        Ok(Self {
            target,
            poll,
            events: Events::with_capacity(1024),
            conns,
            batch: Batch::new(opcode::BINARY, size, 1),
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Runs the load and measures the server. Where a rate is more than the two can do, less comes back.
    pub fn run(&mut self, paced: Paced) -> Result<Report> {
        ensure!(
            (1..=self.conns.len()).contains(&paced.active),
            "of {} connections, {} cannot be at work",
            self.conns.len(),
            paced.active
        );
        let steady = Steady {
            warm_up: paced.warm_up,
            until: paced.until,
        };
        let target = self.target;
        let mut turns = Turns::begin(self, paced);
        let report = steady.run(target, || turns.turn())?;
        turns.finish()?;
        Ok(report)
    }

    /// What has come, and how many messages it ends.
    fn receive(&mut self) -> Result<u64> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut messages = 0;
        for event in &self.events {
            let conn = &mut self.conns[event.token().0];
            if event.is_readable() && conn.receive(&self.batch, &mut self.buffer)? {
                messages += 1;
            } else if event.is_writable() && !conn.is_at_rest() {
                conn.send(&self.batch)?;
            }
        }
        Ok(messages)
    }
}

/// A run's state.
struct Turns<'a> {
    connections: &'a mut Connections,
    paced: Paced,
    started: Instant,
    sent: u64,
    received: u64,
    last_reply: Instant,
}

impl<'a> Turns<'a> {
    fn begin(connections: &'a mut Connections, paced: Paced) -> Self {
        let now = Instant::now();
        Self {
            connections,
            paced,
            started: now,
            sent: 0,
            received: 0,
            last_reply: now,
        }
    }

    /// Sends what is due, and takes what has come.
    fn turn(&mut self) -> Result<u64> {
        let due = match self.paced.pace {
            Pace::Rate(rate) => due(self.started.elapsed(), rate),
            Pace::InFlight(most) => self.received + most,
        };
        while self.sent < due {
            let nth = (self.sent % self.paced.active as u64) as usize;
            let conn = &mut self.connections.conns[nth];
            // Its last reply is not there yet: it is due, and will be sent when that has come.
            if !conn.is_at_rest() {
                break;
            }
            conn.send(&self.connections.batch)?;
            self.sent += 1;
        }
        self.receive()
    }

    /// Waits for the last replies, so that all connections rest.
    fn finish(&mut self) -> Result<()> {
        while self.received < self.sent {
            self.receive()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<u64> {
        let messages = self.connections.receive()?;
        if messages > 0 || self.received == self.sent {
            self.last_reply = Instant::now();
        }
        self.received += messages;
        ensure!(
            self.last_reply.elapsed() < PATIENCE,
            "the server has answered nothing for {PATIENCE:?}"
        );
        Ok(messages)
    }
}

/// How many messages are to be sent by now: a millisecond's together.
fn due(elapsed: Duration, rate: f64) -> u64 {
    (elapsed.as_millis() as f64 * rate / 1e3) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_milliseconds_messages_are_due_together() {
        let due = |micros| due(Duration::from_micros(micros), 50_000.0);
        assert_eq!([999, 1_000, 1_999, 2_000].map(due), [0, 50, 50, 100]);
    }
}
