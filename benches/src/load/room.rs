//! A room: one connection sends a batch, every other one gets all of it, then the next is sent.
//! The server is one that sends each message on to all connections but the one it came from.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use super::{Target, Until};
use crate::frame::{Batch, opcode};
use crate::process::{Memory, Usage};
use crate::{machine, net};

/// A server that delivers nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to send, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Connections that get each message.
    pub receivers: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Messages in flight.
    pub depth: usize,
    /// Time under the same load before the measured part.
    pub warm_up: Duration,
    /// When the measured part ends: at the first whole round after it.
    pub until: Until,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Messages that came to a receiver, checked.
    pub deliveries: u64,
    /// Length of the measured part.
    pub seconds: f64,
    /// Deliveries a second.
    pub per_second: f64,
    /// The server's CPU time for each delivery.
    pub cpu_us: f64,
    /// The part of it in user space, rough: from ticks of 10 ms.
    pub user_us: f64,
    /// The server's context switches for each delivery.
    pub context_switches: f64,
    /// The server's memory at the end.
    pub memory: Memory,
}

/// Runs the load and measures the server.
pub fn run(target: Target, room: Room) -> Result<Report> {
    ensure!(
        room.receivers > 0 && room.depth > 0,
        "a room needs a receiver and a message"
    );
    let mut generator = Generator::connect(target, room)?;
    let end = Instant::now() + room.warm_up;
    generator.round()?;
    while Instant::now() < end {
        generator.round()?;
    }

    let each_round = (room.receivers * room.depth) as u64;
    let mut deliveries = 0;
    let before = Usage::read(target.pid)?;
    let start = Instant::now();
    while !room.until.reached(start, deliveries) {
        generator.round()?;
        deliveries += each_round;
    }
    let seconds = start.elapsed().as_secs_f64();
    let spent = Usage::read(target.pid)?.since(&before);
    generator.nothing_is_left()?;

    let each = |total: f64| total / deliveries as f64;
    Ok(Report {
        deliveries,
        seconds,
        per_second: deliveries as f64 / seconds,
        cpu_us: each(spent.cpu_us),
        user_us: each(spent.user_us),
        context_switches: each(spent.context_switches as f64),
        memory: Memory::read(target.pid)?,
    })
}

/// The sender, and all receivers on one poll.
struct Generator {
    poll: Poll,
    events: Events,
    sender: std::net::TcpStream,
    receivers: Vec<Receiver>,
    batch: Batch,
    buffer: Vec<u8>,
}

struct Receiver {
    stream: TcpStream,
    /// Bytes of this round that came.
    received: usize,
}

impl Generator {
    fn connect(target: Target, room: Room) -> Result<Self> {
        machine::raise_open_files(room.receivers as u64 + 64)?;
        let poll = Poll::new()?;
        let mut receivers = Vec::with_capacity(room.receivers);
        for nth in 0..room.receivers {
            let stream = net::open(target.addr, nth)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(nth), Interest::READABLE)?;
            receivers.push(Receiver {
                stream,
                received: 0,
            });
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            sender: net::open(target.addr, room.receivers)?,
            receivers,
            batch: Batch::new(opcode::BINARY, room.size, room.depth),
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Sends a batch and waits until every receiver has all of it.
    fn round(&mut self) -> Result<()> {
        self.sender
            .write_all(&self.batch.request)
            .context("sending a batch")?;
        let mut left = self.receivers.len();
        while left > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                bail!("{left} receivers wait for {PATIENCE:?} already");
            }
            for event in &self.events {
                let receiver = &mut self.receivers[event.token().0];
                left -= usize::from(receiver.receive(&self.batch, &mut self.buffer)?);
            }
        }
        for receiver in &mut self.receivers {
            receiver.received = 0;
        }
        Ok(())
    }

    /// Nobody got a message twice, and the sender none.
    fn nothing_is_left(&mut self) -> Result<()> {
        self.sender.set_nonblocking(true)?;
        ensure!(
            net::unless_blocked(self.sender.read(&mut self.buffer))?.is_none(),
            "the sender got something"
        );
        for receiver in &mut self.receivers {
            ensure!(
                net::unless_blocked(receiver.stream.read(&mut self.buffer))?.is_none(),
                "a receiver got more than was sent"
            );
        }
        Ok(())
    }
}

impl Receiver {
    /// Reads and checks what is there; true if that ends the round.
    fn receive(&mut self, batch: &Batch, buffer: &mut [u8]) -> Result<bool> {
        loop {
            let read = net::unless_blocked(self.stream.read(buffer));
            let n = match read.context("reading a delivery")? {
                None => return Ok(false),
                Some(0) => bail!("the server closed a connection"),
                Some(n) => n,
            };
            ensure!(
                batch.matches(self.received, &buffer[..n]),
                "a delivery is not what was sent (at byte {})",
                self.received
            );
            self.received += n;
            if self.received == batch.reply.len() {
                return Ok(true);
            }
            // A short read has emptied the socket: the next bytes are a new edge.
            if n < buffer.len() {
                return Ok(false);
            }
        }
    }
}
