//! Floods: what a hostile client sends without end, for a bounded time.
//! Says what it cost the server; whether that is acceptable is for the reader to judge.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use super::Target;
use crate::frame::{self, opcode};
use crate::net;
use crate::process::{Memory, Usage};

/// How often memory is read while the flood runs.
const SAMPLING: Duration = Duration::from_millis(50);

/// Bytes of the endless part that are laid out beforehand.
const PATTERN: usize = 64 * 1024;

/// What to send without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Pings whose pongs are never read.
    Ping,
    /// Fragments of a message that never ends.
    Fragment,
    /// Header lines of a request that never ends.
    Header,
}

/// What to send, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Flood {
    /// What to send.
    pub kind: Kind,
    /// Connections; one that the server ends is replaced.
    pub conns: usize,
    /// Payload of a frame, or of a header line.
    pub size: usize,
    /// Length of the flood.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was sent.
    pub kind: Kind,
    /// Length of the flood.
    pub seconds: f64,
    /// Bytes that the kernel took.
    pub bytes_sent: u64,
    /// Connections that the server ended.
    pub ended_by_server: u64,
    /// The server's CPU time for each second of the flood.
    pub cpu_share: f64,
    /// The server's memory before.
    pub before: Memory,
    /// The most that was seen (of anonymous memory).
    pub peak: Memory,
    /// After all connections were closed.
    pub after: Memory,
}

/// Runs the flood and watches the server.
pub fn run(target: Target, flood: Flood) -> Result<Report> {
    ensure!(flood.conns > 0, "a flood needs a connection");
    let mut sender = Sender::new(target, flood)?;
    let before = Memory::settled(target.pid)?;
    let usage = Usage::read(target.pid)?;
    let start = Instant::now();
    let mut peak = before;
    let mut conns = Vec::new();
    for slot in 0..flood.conns {
        conns.push(sender.begin(slot)?);
    }
    let mut events = Events::with_capacity(1024);
    let mut sampled = start;
    while start.elapsed() < flood.time {
        sender.poll.poll(&mut events, Some(SAMPLING))?;
        for event in &events {
            let slot = event.token().0;
            if sender.advance(&mut conns[slot], event).is_err() {
                sender.ended += 1;
                conns[slot] = sender.begin(slot)?;
            }
        }
        if sampled.elapsed() >= SAMPLING {
            sampled = Instant::now();
            let now = Memory::read(target.pid)?;
            if now.anon > peak.anon {
                peak = now;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let spent = Usage::read(target.pid)?.since(&usage);
    drop(conns);
    target.settle()?;
    Ok(Report {
        kind: flood.kind,
        seconds,
        bytes_sent: sender.bytes,
        ended_by_server: sender.ended,
        cpu_share: spent.cpu_us / 1e6 / seconds,
        before,
        peak,
        after: Memory::settled(target.pid)?,
    })
}

struct Sender {
    target: Target,
    kind: Kind,
    poll: Poll,
    /// Sent once on each connection.
    start: Vec<u8>,
    /// Sent over and over after it.
    pattern: Vec<u8>,
    begun: usize,
    bytes: u64,
    ended: u64,
}

impl Sender {
    fn new(target: Target, flood: Flood) -> Result<Self> {
        let payload = vec![b'a'; flood.size];
        let (mut start, mut pattern) = (Vec::new(), Vec::new());
        if flood.kind == Kind::Fragment {
            frame::masked(&mut start, opcode::BINARY, false, b"a");
        }
        if flood.kind == Kind::Header {
            start.extend_from_slice(b"GET / HTTP/1.1\r\nHost: localhost\r\n");
        }
        while pattern.len() < PATTERN {
            match flood.kind {
                Kind::Ping => frame::masked(&mut pattern, opcode::PING, true, &payload),
                Kind::Fragment => {
                    frame::masked(&mut pattern, opcode::CONTINUATION, false, &payload);
                }
                Kind::Header => {
                    pattern.extend_from_slice(b"x-flood: ");
                    pattern.extend_from_slice(&payload);
                    pattern.extend_from_slice(b"\r\n");
                }
            }
        }
        Ok(Self {
            target,
            kind: flood.kind,
            poll: Poll::new()?,
            start,
            pattern,
            begun: 0,
            bytes: 0,
            ended: 0,
        })
    }

    fn begin(&mut self, slot: usize) -> Result<Conn> {
        let connect = match self.kind {
            Kind::Header => net::connect,
            Kind::Ping | Kind::Fragment => net::open,
        };
        let stream = connect(self.target.addr, self.begun)?;
        self.begun += 1;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(slot), interest)?;
        Ok(Conn { stream, sent: 0 })
    }

    /// Sends what the socket takes; an error once the server has ended the connection.
    fn advance(&mut self, conn: &mut Conn, event: &mio::event::Event) -> Result<()> {
        ensure!(
            !event.is_error() && !event.is_read_closed(),
            "ended by the server"
        );
        // Pongs are left unread: a server that queues them without a limit shows here.
        if self.kind != Kind::Ping && event.is_readable() {
            while let Some(n) = net::unless_blocked(conn.stream.read(&mut [0; 4096]))? {
                ensure!(n > 0, "ended by the server");
            }
        }
        // A few writes a turn, then the other connections' and the clock's turn.
        for _ in 0..16 {
            let left = match self.start.get(conn.sent..) {
                Some(start) if !start.is_empty() => start,
                _ => &self.pattern[(conn.sent - self.start.len()) % self.pattern.len()..],
            };
            let Some(n) = net::unless_blocked(conn.stream.write(left))? else {
                return Ok(());
            };
            conn.sent += n;
            self.bytes += n as u64;
        }
        // Edge-triggered: a socket that is still writable gives no further event by itself.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = event.token();
        self.poll
            .registry()
            .reregister(&mut conn.stream, token, interest)?;
        Ok(())
    }
}

struct Conn {
    stream: TcpStream,
    sent: usize,
}
