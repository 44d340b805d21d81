//! Messages into random rooms, at a pace, until each has come to all.
//! Does not read sockets: `members` does.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::members::Members;
use super::protocol::{Heard, Messages, Pace};

/// What has not come for so long after the last was sent is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest sleep while something is waited for.
const GLANCE: Duration = Duration::from_millis(100);

/// Sends, and waits until all has come.
pub(super) fn run(members: &mut Members, order: Messages) -> Result<Heard> {
    let mut dice = Dice(order.seed);
    let length = Duration::try_from_secs_f64(order.seconds)?;
    let start = Instant::now();
    let end = start + length;
    members.rooms.take_heard();
    let mut due = match order.pace {
        Pace::Every { offset, interval } => {
            ensure!(interval > 0.0, "messages need time between them");
            start + Duration::try_from_secs_f64(offset)?
        }
        Pace::InFlight(_) => start,
    };
    loop {
        let now = Instant::now();
        match order.pace {
            Pace::Every { interval, .. } => {
                let interval = Duration::try_from_secs_f64(interval)?;
                while due <= now && due < end && send(members, &mut dice, due)? {
                    due += interval;
                }
            }
            Pace::InFlight(rooms) => {
                while now < end
                    && members.rooms.in_flight() < rooms
                    && send(members, &mut dice, now)?
                {}
            }
        }
        if now >= end && members.rooms.in_flight() == 0 {
            return Ok(members.rooms.take_heard());
        }
        if now >= end + PATIENCE {
            members.rooms.none_missing()?;
        }
        let next = if due > now { due.min(end) } else { end };
        let wait = next.saturating_duration_since(now);
        members.pump(Some(if wait.is_zero() {
            GLANCE
        } else {
            wait.min(GLANCE)
        }))?;
    }
}

/// Sends into a random room; false if all are busy.
fn send(members: &mut Members, dice: &mut Dice, due: Instant) -> Result<bool> {
    let rooms = members.rooms.len();
    let start = dice.below(rooms);
    let free = (0..rooms).map(|n| (start + n) % rooms);
    let Some(room) = free.into_iter().find(|room| members.rooms.is_free(*room)) else {
        return Ok(false);
    };
    members.send(room, due, |members| dice.below(members))?;
    Ok(true)
}

/// SplitMix64: a run can be repeated.
struct Dice(u64);

impl Dice {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_reach_all_sides_and_repeat() {
        let throws = |seed| {
            let mut dice = Dice(seed);
            (0..200).map(|_| dice.below(6)).collect::<Vec<_>>()
        };
        let seen = throws(1);
        assert!((0..6).all(|side| seen.contains(&side)) && seen.iter().all(|n| *n < 6));
        assert_eq!(seen, throws(1));
        assert_ne!(seen, throws(2));
    }
}
