//! Handshakes: connect, upgrade, check the answer, close, and again.
//! Sends no frame: the connection ends as a closed TCP connection, as a lost client's does.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use super::Target;
use crate::{machine, net};

/// A server that answers nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many, and how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Handshake {
    /// Handshakes in the measured part; a tenth more come before it as a warm-up.
    pub count: usize,
    /// Handshakes under way at a time.
    pub parallel: usize,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Handshakes done and checked.
    pub handshakes: usize,
    /// Length of the measured part.
    pub seconds: f64,
    /// Handshakes a second.
    pub per_second: f64,
    /// The server's CPU time for each, from the accept to the end of the connection.
    pub cpu_us: f64,
    /// The part of it in user space, rough: from ticks of 10 ms.
    pub user_us: f64,
}

/// Runs the load and measures the server.
pub fn run(target: Target, handshake: Handshake) -> Result<Report> {
    let Handshake { count, parallel } = handshake;
    ensure!(count > 0 && parallel > 0, "a handshake needs a connection");
    machine::raise_open_files(parallel as u64 + 64)?;
    let mut generator = Generator::new(target)?;
    generator.run(count.div_ceil(10), parallel)?;

    let before = target.settle()?;
    let start = Instant::now();
    generator.run(count, parallel)?;
    let seconds = start.elapsed().as_secs_f64();
    let spent = target.settle()?.since(&before);

    Ok(Report {
        handshakes: count,
        seconds,
        per_second: count as f64 / seconds,
        cpu_us: spent.cpu_us / count as f64,
        user_us: spent.user_us / count as f64,
    })
}

struct Generator {
    target: Target,
    request: String,
    poll: Poll,
    events: Events,
    /// All connections so far; picks the source address.
    begun: usize,
}

impl Generator {
    fn new(target: Target) -> Result<Self> {
        Ok(Self {
            target,
            request: net::request(target.addr),
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            begun: 0,
        })
    }

    /// Does `count` handshakes, never more than `parallel` at once.
    fn run(&mut self, count: usize, parallel: usize) -> Result<()> {
        let mut slots = Vec::new();
        for nth in 0..parallel.min(count) {
            slots.push(Some(self.begin(nth)?));
        }
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let (mut done, mut left) = (0, count - slots.len());
        while done < count {
            self.poll.poll(&mut events, Some(PATIENCE))?;
            if events.is_empty() {
                bail!("the server has answered nothing for {PATIENCE:?}");
            }
            for event in &events {
                let slot = &mut slots[event.token().0];
                let Some(opening) = slot else { continue };
                if opening.advance(event, self.request.as_bytes())? {
                    done += 1;
                    *slot = None;
                    if left > 0 {
                        left -= 1;
                        *slot = Some(self.begin(event.token().0)?);
                    }
                }
            }
        }
        self.events = events;
        Ok(())
    }

    fn begin(&mut self, slot: usize) -> Result<Opening> {
        let mut stream = net::begin(self.target.addr, self.begun)?;
        self.begun += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(slot), interest)?;
        Ok(Opening {
            stream,
            asked: false,
            answer: Vec::new(),
        })
    }
}

/// One handshake under way.
struct Opening {
    stream: TcpStream,
    asked: bool,
    answer: Vec<u8>,
}

impl Opening {
    /// True once the server has accepted.
    fn advance(&mut self, event: &mio::event::Event, request: &[u8]) -> Result<bool> {
        if !self.asked && event.is_writable() {
            let sent = self.stream.write(request)?;
            ensure!(sent == request.len(), "a fresh socket took half a request");
            self.asked = true;
        }
        if !event.is_readable() {
            return Ok(false);
        }
        let mut chunk = [0; 1024];
        match net::unless_blocked(self.stream.read(&mut chunk))? {
            None => {}
            Some(0) => bail!("the server closed the connection within the handshake"),
            Some(n) => self.answer.extend_from_slice(&chunk[..n]),
        }
        net::accepted(&self.answer)
    }
}
