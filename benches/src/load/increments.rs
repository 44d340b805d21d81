//! Increments of numbered counters, several in flight on each connection; each is answered with its
//! counter's new count.
//! Does not expect the answers in order: of each counter all counts must come, each once.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::Target;
use super::conn::PATIENCE;
use crate::frame::{self, opcode};
use crate::{machine, net};

/// Who counts what.
#[derive(Debug, Clone, Copy)]
pub struct Increments {
    /// Connections.
    pub conns: usize,
    /// Counters. Each connection walks through all of them, from a place of its own.
    pub counters: usize,
    /// Increments in flight on each connection.
    pub depth: usize,
}

/// The connections to one server, and what its counters have come to.
pub struct Generator {
    poll: Poll,
    events: Events,
    conns: Vec<Conn>,
    depth: usize,
    /// A frame for each counter.
    requests: Vec<Vec<u8>>,
    counters: Vec<Counter>,
    buffer: Vec<u8>,
}

/// An answer's frame: a header of two bytes, the counter's number, its count.
const ANSWER: usize = 2 + 4 + 8;

impl Generator {
    /// Connects to a server on which nothing was counted yet.
    pub fn connect(target: Target, increments: Increments) -> Result<Self> {
        let Increments {
            conns,
            counters,
            depth,
        } = increments;
        ensure!(
            conns > 0 && counters > 0 && depth > 0,
            "nothing is to be counted"
        );
        machine::raise_open_files(conns as u64 + 64)?;
        let poll = Poll::new()?;
        let request = |number| {
            let mut frame = Vec::new();
            frame::masked(&mut frame, opcode::BINARY, true, &u32::to_be_bytes(number));
            frame
        };
        let conn = |nth| {
            let stream = net::open(target.addr, nth)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(nth), Interest::READABLE)?;
            Ok(Conn {
                stream,
                next: nth * counters / conns,
                kept: Vec::new(),
            })
        };
        Ok(Self {
            conns: (0..conns).map(conn).collect::<Result<_>>()?,
            poll,
            events: Events::with_capacity(1024),
            depth,
            requests: (0..counters as u32).map(request).collect(),
            counters: vec![Counter::default(); counters],
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Counts for this long; how many increments a second were answered. All answers have come, and
    /// are right, when it returns.
    pub fn run(&mut self, time: Duration) -> Result<f64> {
        let started = Instant::now();
        let count = self.while_true(|_| started.elapsed() < time)?;
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }

    /// Counts so many times, or up to `depth` of each connection more.
    pub fn count(&mut self, total: u64) -> Result<()> {
        self.while_true(|count| count < total).map(drop)
    }

    /// Counters that were counted up at least once.
    pub fn used(&self) -> usize {
        self.counters.iter().filter(|c| c.asked > 0).count()
    }

    /// `go_on` is given how many answers have come.
    fn while_true(&mut self, go_on: impl Fn(u64) -> bool) -> Result<u64> {
        for nth in 0..self.conns.len() {
            self.ask(nth, self.depth)?;
        }
        let (mut waiting, mut count) = (self.conns.len() * self.depth, 0);
        while waiting > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                bail!("the server has answered nothing for {PATIENCE:?}, and {waiting} wait");
            }
            let ready: Vec<_> = self.events.iter().map(|event| event.token().0).collect();
            for nth in ready {
                let answers = self.conns[nth].receive(&mut self.buffer, &mut self.counters)?;
                count += answers as u64;
                if go_on(count) {
                    self.ask(nth, answers)?;
                } else {
                    waiting -= answers;
                }
            }
        }
        for (number, counter) in self.counters.iter().enumerate() {
            counter
                .check()
                .with_context(|| format!("counter {number}"))?;
        }
        Ok(count)
    }

    fn ask(&mut self, nth: usize, increments: usize) -> Result<()> {
        let conn = &mut self.conns[nth];
        let mut frames = Vec::new();
        for _ in 0..increments {
            frames.extend_from_slice(&self.requests[conn.next]);
            self.counters[conn.next].asked += 1;
            conn.next = (conn.next + 1) % self.requests.len();
        }
        // Far less than any socket takes.
        conn.stream.write_all(&frames).context("asking")
    }
}

struct Conn {
    stream: TcpStream,
    /// The counter that is asked next.
    next: usize,
    /// The beginning of an answer.
    kept: Vec<u8>,
}

impl Conn {
    /// Reads and checks what is there; how many answers that was.
    fn receive(&mut self, buffer: &mut [u8], counters: &mut [Counter]) -> Result<usize> {
        let mut answers = 0;
        loop {
            let n = match net::unless_blocked(self.stream.read(buffer)).context("reading counts")? {
                None => return Ok(answers),
                Some(0) => bail!("the server closed the connection"),
                Some(n) => n,
            };
            self.kept.extend_from_slice(&buffer[..n]);
            let whole = self.kept.chunks_exact(ANSWER);
            let rest = whole.remainder().to_vec();
            for frame in whole {
                let (head, payload) = frame.split_at(2);
                ensure!(head == [0x82, 12], "not an answer's header: {head:02x?}");
                let (number, count) = payload.split_at(4);
                let number = u32::from_be_bytes(number.try_into()?) as usize;
                let counter = counters.get_mut(number).context("an unknown counter")?;
                counter
                    .came(u64::from_be_bytes(count.try_into()?))
                    .with_context(|| format!("counter {number}"))?;
                answers += 1;
            }
            self.kept = rest;
            // A short read has emptied the socket: the next bytes are a new edge.
            if n < buffer.len() {
                return Ok(answers);
            }
        }
    }
}

/// What one counter has come to.
#[derive(Debug, Clone, Default)]
struct Counter {
    asked: u64,
    highest: u64,
    /// Counts below the highest that have not come yet.
    missing: BTreeSet<u64>,
}

impl Counter {
    fn came(&mut self, count: u64) -> Result<()> {
        ensure!(
            count <= self.asked,
            "it is at {count} after {} increments",
            self.asked
        );
        if count > self.highest {
            self.missing.extend(self.highest + 1..count);
            self.highest = count;
        } else {
            ensure!(self.missing.remove(&count), "{count} came twice");
        }
        Ok(())
    }

    /// All increments are answered.
    fn check(&self) -> Result<()> {
        ensure!(
            self.highest == self.asked && self.missing.is_empty(),
            "it is at {} after {} increments, and these never came: {:?}",
            self.highest,
            self.asked,
            self.missing
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_comes_once_in_any_order() {
        let mut counter = Counter {
            asked: 3,
            ..Counter::default()
        };
        for count in [2, 1] {
            counter.came(count).unwrap();
        }
        assert!(counter.check().is_err());
        for wrong in [1, 2, 4] {
            assert!(counter.came(wrong).is_err(), "{wrong}");
        }
        counter.came(3).unwrap();
        counter.check().unwrap();
    }
}
