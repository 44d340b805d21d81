//! A room: one member sends a batch, all others must get it, and then it sends the next one.
//! Does not count what reached the sender: it gets nothing of its own, and that it does is an error.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use mio::{Events, Interest, Poll, Token};

use super::Target;
use super::conn::{Conn, PATIENCE};
use super::steady::{Report, Steady, Until};
use crate::frame::{Batch, NUMBER, opcode};
use crate::machine;

/// How many members, and what the first of them sends.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Members that receive; one more sends.
    pub receivers: usize,
    /// Bytes of a message.
    pub size: usize,
    /// Messages that are sent with one write, and in flight.
    pub depth: usize,
    /// Time under the same load before the measured part.
    pub warm_up: Duration,
    /// When the measured part ends.
    pub until: Until,
}

/// Runs the load and measures the server. A message counts once for each member that got it.
pub fn run(target: Target, room: Room) -> Result<Report> {
    ensure!(
        room.receivers > 0 && room.depth > 0,
        "a room needs a receiver and a message"
    );
    ensure!(
        room.size >= NUMBER,
        "a message of a room has {NUMBER} bytes or more, for its number; got {}",
        room.size
    );
    let mut generator = Generator::connect(target, room)?;
    let steady = Steady {
        warm_up: room.warm_up,
        until: room.until,
    };
    steady.run(target, || generator.round())
}

/// All members, on one poll.
struct Generator {
    poll: Poll,
    events: Events,
    /// The last one sends, the others receive.
    members: Vec<Conn>,
    batch: Batch,
    /// Messages sent so far.
    sent: u64,
    buffer: Vec<u8>,
}

impl Generator {
    fn connect(target: Target, room: Room) -> Result<Self> {
        machine::raise_open_files(room.receivers as u64 + 64)?;
        let poll = Poll::new()?;
        let mut members = Vec::with_capacity(room.receivers + 1);
        for nth in 0..=room.receivers {
            let mut member = Conn::open(target, nth)?;
            // That it may write is of interest for what a write could not take.
            let interest = match nth == room.receivers {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            poll.registry()
                .register(member.socket(), Token(nth), interest)?;
            members.push(member);
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            members,
            batch: Batch::new(opcode::BINARY, room.size, room.depth),
            sent: 0,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// A round, from the sender's write until all others have the whole batch; how many messages they
    /// have got together.
    fn round(&mut self) -> Result<u64> {
        let (sender, depth) = (self.members.len() - 1, self.batch.depth as u64);
        self.batch.number(self.sent);
        self.sent += depth;
        self.members[sender].send_again(&self.batch)?;
        let mut waiting = sender;
        while waiting > 0 {
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                bail!(
                    "nothing has come for {PATIENCE:?}, and {waiting} of {sender} members wait for messages"
                );
            }
            for event in &self.events {
                let nth = event.token().0;
                let member = &mut self.members[nth];
                if nth == sender {
                    ensure!(
                        !event.is_readable(),
                        "the sender got a message, or was closed"
                    );
                    member.send(&self.batch)?;
                } else if member.receive(&self.batch, &mut self.buffer)? {
                    waiting -= 1;
                }
            }
        }
        Ok(depth * sender as u64)
    }
}
