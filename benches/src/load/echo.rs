//! Echo: every connection sends a batch, waits for all of its replies, and sends it again.
//! Does not judge speed by the clock alone: the generator is often full before a good server is, so
//! the server's CPU time for each message is what counts.

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

/// A server that answers nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Messages that came back, checked.
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
}

/// Runs the load and measures the server.
pub fn run(target: Target, echo: Echo) -> Result<Report> {
    ensure!(
        echo.conns > 0 && echo.depth > 0,
        "an echo needs a connection and a message"
    );
    let mut generator = Generator::connect(target, echo)?;
    let end = Instant::now() + echo.warm_up;
    while Instant::now() < end {
        generator.turn()?;
    }

    generator.messages = 0;
    let before = Usage::read(target.pid)?;
    let start = Instant::now();
    while !echo.until.reached(start, generator.messages) {
        generator.turn()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let spent = Usage::read(target.pid)?.since(&before);

    let each = |total: f64| total / generator.messages as f64;
    Ok(Report {
        messages: generator.messages,
        seconds,
        per_second: generator.messages as f64 / seconds,
        cpu_us: each(spent.cpu_us),
        user_us: each(spent.user_us),
        context_switches: each(spent.context_switches as f64),
        memory: Memory::read(target.pid)?,
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
    messages: u64,
}

impl Generator {
    fn connect(target: Target, echo: Echo) -> Result<Self> {
        machine::raise_open_files(echo.conns as u64 + 64)?;
        let poll = Poll::new()?;
        let mut conns = Vec::with_capacity(echo.conns);
        for nth in 0..echo.conns {
            let stream = net::open(target.addr, nth)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(nth), interest)?;
            conns.push(Conn {
                stream,
                sent: 0,
                received: 0,
            });
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
            messages: 0,
        })
    }

    /// One poll and what it brought. The first events, "writable", set the connections going.
    fn turn(&mut self) -> Result<()> {
        self.poll.poll(&mut self.events, Some(PATIENCE))?;
        if self.events.is_empty() {
            bail!("the server has answered nothing for {PATIENCE:?}");
        }
        for event in &self.events {
            let conn = &mut self.conns[event.token().0];
            if event.is_readable() && conn.receive(&self.batch, &mut self.buffer)? {
                self.messages += self.batch.depth as u64;
                conn.send(&self.batch)?;
            } else if event.is_writable() {
                conn.send(&self.batch)?;
            }
        }
        Ok(())
    }
}

struct Conn {
    stream: TcpStream,
    /// Bytes of the batch that were sent.
    sent: usize,
    /// Bytes of its replies that came.
    received: usize,
}

impl Conn {
    /// Reads and checks what is there; true if that ends the batch.
    fn receive(&mut self, batch: &Batch, buffer: &mut [u8]) -> Result<bool> {
        loop {
            let n =
                match net::unless_blocked(self.stream.read(buffer)).context("reading an echo")? {
                    None => return Ok(false),
                    Some(0) => bail!("the server closed the connection"),
                    Some(n) => n,
                };
            if !batch.matches(self.received, &buffer[..n]) {
                bail!(
                    "a reply is not its message's echo (at byte {})",
                    self.received
                );
            }
            self.received += n;
            if self.received == batch.reply.len() {
                (self.sent, self.received) = (0, 0);
                return Ok(true);
            }
            // A short read has emptied the socket: the next bytes are a new edge.
            if n < buffer.len() {
                return Ok(false);
            }
        }
    }

    /// Sends what is left of the batch, as far as the socket takes it.
    fn send(&mut self, batch: &Batch) -> Result<()> {
        while self.sent < batch.request.len() {
            let left = &batch.request[self.sent..];
            match net::unless_blocked(self.stream.write(left)).context("sending a message")? {
                None => break,
                Some(n) => self.sent += n,
            }
        }
        Ok(())
    }
}
