//! One connection of a load: how far it has sent a batch, and how far the answer to it has come.
//! Does not wait: it sends and reads what the socket takes and has.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;

use super::Target;
use crate::frame::Batch;
use crate::net;
use crate::tls::Secured;

/// A server that sends nothing for so long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, on a poll of its user's.
pub(super) struct Conn {
    stream: Secured<TcpStream>,
    /// Bytes of the batch that were sent.
    sent: usize,
    /// Bytes of its replies that came.
    received: usize,
}

impl Conn {
    /// Connects and upgrades; `nth` picks the source address.
    pub(super) fn open(target: Target, nth: usize) -> Result<Self> {
        let stream = Secured::open(target.addr, nth, target.tls)?;
        Ok(Self {
            stream: stream.unblocked()?,
            sent: 0,
            received: 0,
        })
    }

    /// For a poll.
    pub(super) fn socket(&mut self) -> &mut TcpStream {
        self.stream.socket()
    }

    /// Reads and checks what is there; true if that ends the batch.
    pub(super) fn receive(&mut self, batch: &Batch, buffer: &mut [u8]) -> Result<bool> {
        loop {
            let n =
                match net::unless_blocked(self.stream.read(buffer)).context("reading messages")? {
                    None => return Ok(false),
                    Some(0) => bail!("the server closed the connection"),
                    Some(n) => n,
                };
            if !batch.matches(self.received, &buffer[..n]) {
                bail!(
                    "what came is not what was sent (at byte {} of {})",
                    self.received,
                    batch.reply.len()
                );
            }
            self.received += n;
            if self.received == batch.reply.len() {
                (self.sent, self.received) = (0, 0);
                return Ok(true);
            }
            // A short read has emptied the socket: the next bytes are a new edge.
            if n < buffer.len() && self.stream.is_emptied_by_a_short_read() {
                return Ok(false);
            }
        }
    }

    /// Nothing of the batch was sent.
    pub(super) fn is_at_rest(&self) -> bool {
        self.sent == 0
    }

    /// Sends what is left of the batch, as far as the socket takes it.
    pub(super) fn send(&mut self, batch: &Batch) -> Result<()> {
        while self.sent < batch.request.len() {
            let left = &batch.request[self.sent..];
            match net::unless_blocked(self.stream.write(left)).context("sending a message")? {
                None => break,
                Some(n) => self.sent += n,
            }
        }
        // Only TLS keeps something back.
        let flushed = self.stream.flush().map(|()| 0);
        net::unless_blocked(flushed).context("sending a message")?;
        Ok(())
    }

    /// Sends the batch, which may be another one by now, from its beginning.
    pub(super) fn send_again(&mut self, batch: &Batch) -> Result<()> {
        self.sent = 0;
        self.send(batch)
    }
}
