//! The sockets of one load: opening them, reading what comes, answering pings and Closes.
//! Does not decide what is sent into rooms: `chatter` does.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::frames::Frame;
use super::protocol::Closed;
use super::rooms::Rooms;
use crate::frame::{masked, opcode};
use crate::net;

/// RFC 6455 §7.4.1: the server goes away.
const GOING_AWAY: u16 = 1001;

/// Which sockets a load holds.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// The server.
    pub addr: SocketAddrV4,
    /// The number of the first socket among all loads': it picks source addresses.
    pub first: usize,
    /// How many.
    pub sockets: usize,
    /// Members of a room. The first socket is the first of a room.
    pub room: usize,
}

/// The sockets, on one poll.
pub(super) struct Members {
    share: Share,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    seats: Vec<Seat>,
    pub(super) rooms: Rooms,
    /// Beginnings of frames and answers, of the few sockets that have one.
    partial: HashMap<usize, Vec<u8>>,
    /// Sockets that were begun and are not open yet.
    pub(super) under_way: usize,
    pub(super) open: u64,
    /// Why a socket could not be opened.
    pub(super) refused: Option<String>,
    /// A Close is what is waited for.
    pub(super) ending: bool,
    pub(super) closed: Closed,
}

/// One socket: there are a million of them, so it is small.
struct Seat {
    stream: Option<TcpStream>,
    /// Messages that it got.
    seen: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Connecting,
    Asked,
    Open,
    /// Its Close was answered.
    Closing(Going),
    Ended,
}

#[derive(Clone, Copy, PartialEq)]
enum Going {
    Away,
    Otherwise,
}

impl Members {
    /// None is open yet.
    pub(super) fn new(share: Share) -> Result<Self> {
        let first = u32::try_from(share.first / share.room)?;
        Ok(Self {
            share,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; 16 * 1024],
            seats: Vec::with_capacity(share.sockets),
            rooms: Rooms::new(first, share.sockets.div_ceil(share.room))?,
            partial: HashMap::new(),
            under_way: 0,
            open: 0,
            refused: None,
            ending: false,
            closed: Closed::default(),
        })
    }

    /// Ends a [`pump`](Self::pump) from another thread.
    pub(super) fn waker(&self) -> Result<Arc<Waker>> {
        Ok(Arc::new(Waker::new(self.poll.registry(), WAKER)?))
    }

    /// All were begun.
    pub(super) fn is_complete(&self) -> bool {
        self.seats.len() == self.share.sockets
    }

    /// Begins the next one.
    pub(super) fn begin(&mut self) -> Result<()> {
        let nth = self.seats.len();
        let mut stream = net::begin(self.share.addr, self.share.first + nth)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(nth), interest)?;
        self.seats.push(Seat {
            stream: Some(stream),
            seen: 0,
            state: State::Connecting,
        });
        self.under_way += 1;
        Ok(())
    }

    /// Gives up what is not open yet.
    pub(super) fn give_up_opening(&mut self) {
        for seat in &mut self.seats {
            if matches!(seat.state, State::Connecting | State::Asked) {
                (seat.stream, seat.state) = (None, State::Ended);
            }
        }
        self.under_way = 0;
    }

    /// Sends a room's next message from the member that `pick` gives for their number.
    pub(super) fn send(
        &mut self,
        room: usize,
        due: Instant,
        pick: impl FnOnce(usize) -> usize,
    ) -> Result<()> {
        let start = room * self.share.room;
        let end = self.seats.len().min(start + self.share.room);
        let seats = &mut self.seats[start..end];
        let open = |seat: &&mut Seat| seat.state == State::Open;
        let members = seats.iter_mut().filter(open).count();
        let sender = seats.iter_mut().filter(open).nth(pick(members));
        let seat = sender.context("a room has a member")?;
        let bytes = self.rooms.send(room, due, Instant::now());
        write(seat, bytes)
    }

    /// Waits for something to come, at most so long, and sees to all that has. False if nothing has.
    pub(super) fn pump(&mut self, timeout: Option<Duration>) -> Result<bool> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        if let Err(e) = self.poll.poll(&mut events, timeout)
            && e.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(e).context("waiting for sockets");
        }
        for event in events.iter().filter(|event| event.token() != WAKER) {
            self.ready(event.token().0)?;
        }
        let some = !events.is_empty();
        self.events = events;
        Ok(some)
    }

    fn ready(&mut self, nth: usize) -> Result<()> {
        if matches!(self.seats[nth].state, State::Connecting | State::Asked) {
            if let Err(error) = self.advance_opening(nth) {
                // The others go on: how many a machine holds is the question.
                self.refused.get_or_insert(format!("{error:#}"));
                self.seats[nth].stream = None;
                self.seats[nth].state = State::Ended;
                self.under_way -= 1;
            }
            return Ok(());
        }
        self.read(nth).with_context(|| format!("socket {nth}"))
    }

    fn advance_opening(&mut self, nth: usize) -> Result<()> {
        let seat = &mut self.seats[nth];
        if seat.state == State::Connecting {
            let stream = seat.stream.as_ref().context("a socket is there")?;
            if let Some(error) = stream.take_error()? {
                return Err(error).context("connecting");
            }
            let path = self.rooms.path(nth / self.share.room);
            let request = net::request_for(self.share.addr, &path);
            match write(seat, request.as_bytes()) {
                Ok(()) => seat.state = State::Asked,
                Err(error) if is_not_connected(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.read(nth)
    }

    /// Reads until the socket is empty.
    fn read(&mut self, nth: usize) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.read_into(nth, &mut buffer);
        self.buffer = buffer;
        result
    }

    fn read_into(&mut self, nth: usize, buffer: &mut [u8]) -> Result<()> {
        while let Some(stream) = &mut self.seats[nth].stream {
            match net::unless_blocked(stream.read(buffer)) {
                Ok(None) => return Ok(()),
                Ok(Some(0)) => self.ended(nth, None)?,
                Ok(Some(n)) => {
                    self.take(nth, &buffer[..n])?;
                    // A short read has emptied the socket: the next bytes are a new edge.
                    if n < buffer.len() {
                        return Ok(());
                    }
                }
                Err(e) => self.ended(nth, Some(e))?,
            }
        }
        Ok(())
    }

    fn take(&mut self, nth: usize, bytes: &[u8]) -> Result<()> {
        let held = self.partial.remove(&nth);
        let joined = held.map(|mut held| {
            held.extend_from_slice(bytes);
            held
        });
        let bytes = joined.as_deref().unwrap_or(bytes);
        let used = match self.seats[nth].state {
            State::Asked => self.answered(nth, bytes)?,
            _ => self.frames(nth, bytes)?,
        };
        if used < bytes.len() {
            self.partial.insert(nth, bytes[used..].to_vec());
        }
        Ok(())
    }

    fn answered(&mut self, nth: usize, bytes: &[u8]) -> Result<usize> {
        if !net::accepted(bytes)? {
            return Ok(0);
        }
        self.seats[nth].state = State::Open;
        self.rooms.join(nth / self.share.room);
        self.under_way -= 1;
        self.open += 1;
        Ok(bytes.len())
    }

    fn frames(&mut self, nth: usize, bytes: &[u8]) -> Result<usize> {
        // What came with one read came at one time.
        let now = Instant::now();
        let mut used = 0;
        while let Some((frame, len)) = Frame::first(&bytes[used..])? {
            used += len;
            let seat = &mut self.seats[nth];
            ensure!(
                seat.state == State::Open,
                "a frame has come after the Close"
            );
            match frame.opcode {
                opcode::BINARY => {
                    let room = nth / self.share.room;
                    self.rooms
                        .deliver(room, &mut seat.seen, frame.payload, now)?;
                }
                opcode::PING => {
                    write_frame(seat, opcode::PONG, frame.payload)?;
                    self.closed.pings += 1;
                }
                opcode::CLOSE => {
                    let code = frame.close_code();
                    ensure!(self.ending, "the server has closed it, code {code:?}");
                    write_frame(seat, opcode::CLOSE, frame.payload)?;
                    seat.state = State::Closing(match code {
                        Some(GOING_AWAY) => Going::Away,
                        _ => Going::Otherwise,
                    });
                }
                other => bail!("a frame of opcode {other:#x} has come"),
            }
        }
        Ok(used)
    }

    /// The server has ended the TCP connection.
    fn ended(&mut self, nth: usize, error: Option<std::io::Error>) -> Result<()> {
        let seat = &mut self.seats[nth];
        let state = std::mem::replace(&mut seat.state, State::Ended);
        seat.stream = None;
        match (state, error) {
            (State::Closing(_), Some(_)) => self.closed.reset += 1,
            (State::Closing(Going::Away), None) => self.closed.going_away += 1,
            (State::Closing(Going::Otherwise), None) => self.closed.other_code += 1,
            _ if self.ending => self.closed.without += 1,
            (_, Some(error)) => return Err(error).context("the connection has failed"),
            (_, None) => bail!("the server has closed the connection"),
        }
        Ok(())
    }
}

const WAKER: Token = Token(usize::MAX);

fn write_frame(seat: &mut Seat, opcode: u8, payload: &[u8]) -> Result<()> {
    let mut bytes = Vec::new();
    masked(&mut bytes, opcode, true, payload);
    write(seat, &bytes)
}

/// All at once: what a socket has to send here is little, and the one before has left.
fn write(seat: &mut Seat, bytes: &[u8]) -> Result<()> {
    let stream = seat.stream.as_mut().context("a socket is there")?;
    let sent = stream.write(bytes).context("writing")?;
    ensure!(
        sent == bytes.len(),
        "a socket took {sent} of {} bytes",
        bytes.len()
    );
    Ok(())
}

fn is_not_connected(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{NotConnected, WouldBlock};
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    matches!(kind, Some(NotConnected | WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_small() {
        // Half of it in a release build, where mio keeps no notes for itself.
        assert!(size_of::<Seat>() <= 24, "{}", size_of::<Seat>());
    }
}
