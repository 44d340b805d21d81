//! The rooms of one load: which message is under way in each, and who has it.
//! Does no I/O: `members` sends what it is given and hands in what came.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::protocol::Heard;
use crate::frame::{Batch, NUMBER, opcode};
use crate::load::latency::Times;

/// Bytes of a message.
pub(super) const SIZE: usize = 64;

/// One message at a time is under way in a room, so that the order of a room's messages is known.
pub(super) struct Rooms {
    rooms: Vec<Room>,
    /// Among all loads, the number of the first.
    first: u32,
    /// The message, to be numbered.
    message: Batch,
    in_flight: usize,
    messages: u64,
    deliveries: u64,
    span: Option<(Instant, Instant)>,
    delivery: Times,
    whole: Times,
    lateness: Times,
}

#[derive(Clone, Copy, Default)]
struct Room {
    members: u32,
    /// Messages sent so far.
    messages: u32,
    /// Members that have not got the last one.
    waiting: u32,
    sent: Option<Instant>,
}

impl Rooms {
    /// So many, without a member yet.
    pub(super) fn new(first: u32, count: usize) -> Result<Self> {
        Ok(Self {
            rooms: vec![Room::default(); count],
            first,
            message: Batch::new(opcode::BINARY, SIZE, 1),
            in_flight: 0,
            messages: 0,
            deliveries: 0,
            span: None,
            delivery: Times::new()?,
            whole: Times::new()?,
            lateness: Times::new()?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// What a server knows it by.
    pub(super) fn path(&self, room: usize) -> String {
        format!("/room/{}", self.first as usize + room)
    }

    /// A member has come in.
    pub(super) fn join(&mut self, room: usize) {
        self.rooms[room].members += 1;
    }

    /// It has a member, and no message is under way in it.
    pub(super) fn is_free(&self, room: usize) -> bool {
        self.rooms[room].members > 0 && self.rooms[room].waiting == 0
    }

    /// Rooms in which a message is under way.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The bytes of a room's next message, which is sent now and was due before.
    pub(super) fn send(&mut self, room: usize, due: Instant, now: Instant) -> &[u8] {
        let it = &mut self.rooms[room];
        it.messages += 1;
        it.waiting = it.members;
        it.sent = Some(now);
        self.in_flight += 1;
        self.messages += 1;
        self.span.get_or_insert((now, now));
        self.lateness.record(now.saturating_duration_since(due));
        self.message.number(number(self.first, room, it.messages));
        &self.message.request
    }

    /// A member has got this payload; `seen` is how many messages it had before.
    pub(super) fn deliver(
        &mut self,
        room: usize,
        seen: &mut u32,
        payload: &[u8],
        now: Instant,
    ) -> Result<()> {
        let it = &mut self.rooms[room];
        ensure!(
            it.waiting > 0 && *seen + 1 == it.messages,
            "a member of room {room} got a message more, or missed one: it had {seen} of {}",
            it.messages
        );
        let wanted = number(self.first, room, it.messages).to_be_bytes();
        let letters = &self.message.reply[self.message.reply.len() - SIZE + NUMBER..];
        ensure!(
            payload.strip_prefix(&wanted) == Some(letters),
            "what a member of room {room} got is not what was sent"
        );
        *seen += 1;
        it.waiting -= 1;
        self.deliveries += 1;
        let time = it
            .sent
            .map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent));
        self.delivery.record(time);
        if it.waiting == 0 {
            self.whole.record(time);
            self.in_flight -= 1;
            if let Some((_, last)) = &mut self.span {
                *last = now;
            }
        }
        Ok(())
    }

    /// An error if a member still waits for a message.
    pub(super) fn none_missing(&self) -> Result<()> {
        let missing: u64 = self.rooms.iter().map(|room| u64::from(room.waiting)).sum();
        ensure!(
            missing == 0,
            "{missing} of {} deliveries are missing, in {} rooms",
            missing + self.deliveries,
            self.in_flight
        );
        Ok(())
    }

    /// What was heard since the last call.
    pub(super) fn take_heard(&mut self) -> Heard {
        let heard = Heard {
            messages: self.messages,
            deliveries: self.deliveries,
            seconds: self
                .span
                .map_or(0.0, |(first, last)| (last - first).as_secs_f64()),
            delivery: self.delivery.recorded(),
            whole: self.whole.recorded(),
            lateness: self.lateness.recorded(),
        };
        (self.messages, self.deliveries, self.span) = (0, 0, None);
        [&mut self.delivery, &mut self.whole, &mut self.lateness]
            .into_iter()
            .for_each(Times::reset);
        heard
    }
}

/// Different for all messages of a run.
fn number(first: u32, room: usize, message: u32) -> u64 {
    (u64::from(first) + room as u64) << 32 | u64::from(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room_of(members: usize) -> Rooms {
        let mut rooms = Rooms::new(7, 2).unwrap();
        (0..members).for_each(|_| rooms.join(1));
        rooms
    }

    fn send(rooms: &mut Rooms) -> Vec<u8> {
        let now = Instant::now();
        rooms.send(1, now, now);
        let reply = &rooms.message.reply;
        reply[reply.len() - SIZE..].to_vec()
    }

    #[test]
    fn a_message_is_done_when_all_members_have_it() {
        let mut rooms = room_of(2);
        assert!(rooms.is_free(1) && !rooms.is_free(0));
        let payload = send(&mut rooms);
        assert!(!rooms.is_free(1));
        let mut seen = [0; 2];
        rooms
            .deliver(1, &mut seen[0], &payload, Instant::now())
            .unwrap();
        assert!(rooms.none_missing().is_err());
        assert_eq!(rooms.in_flight(), 1);
        rooms
            .deliver(1, &mut seen[1], &payload, Instant::now())
            .unwrap();
        rooms.none_missing().unwrap();
        assert_eq!((rooms.in_flight(), seen), (0, [1, 1]));
        let heard = rooms.take_heard();
        assert_eq!((heard.messages, heard.deliveries), (1, 2));
        assert_eq!(rooms.take_heard().messages, 0);
    }

    #[test]
    fn a_doubled_an_old_and_another_rooms_message_are_errors() {
        let mut rooms = room_of(2);
        let (now, mut seen) = (Instant::now(), [0; 2]);
        let first = send(&mut rooms);
        rooms.deliver(1, &mut seen[0], &first, now).unwrap();
        assert!(rooms.deliver(1, &mut seen[0], &first, now).is_err());
        rooms.deliver(1, &mut seen[1], &first, now).unwrap();
        let second = send(&mut rooms);
        assert!(rooms.deliver(1, &mut seen[0], &first, now).is_err());
        let mut foreign = second.clone();
        foreign[3] ^= 1;
        assert!(rooms.deliver(1, &mut seen[0], &foreign, now).is_err());
        let mut spoilt = second.clone();
        spoilt[SIZE - 1] ^= 1;
        assert!(rooms.deliver(1, &mut seen[0], &spoilt, now).is_err());
        rooms.deliver(1, &mut seen[0], &second, now).unwrap();
    }
}
