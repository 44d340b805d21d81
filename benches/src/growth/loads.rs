//! The curves of a server's CPU time: over connections, members of a room, and sizes of messages.
//! The server has one core and one thread, the load another core.

use std::time::Duration;

use anyhow::Result;

use super::curve::{Axes, Curve};
use crate::load::echo::{self, Echo};
use crate::load::paced::{Connections, Pace, Paced};
use crate::load::room::{self, Room};
use crate::load::steady::Until;
use crate::machine;
use crate::sampling::{DISTURBED, Sampling};
use crate::server::{LOAD_CORE, Recipe, Server};

/// How often, and how a sample is taken.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Samples of each point.
    pub repetitions: usize,
    /// How each is taken.
    pub sampling: Sampling,
}

/// Connections that are at work where the others are idle.
const FEW: usize = 100;
/// Messages a second of all connections together: less than a third of what fills a server.
const RATE: f64 = 25_000.0;
/// Messages in flight of all connections together, where they come as fast as they can.
const IN_FLIGHT: u64 = 64;
/// Bytes of a message that is echoed.
pub(super) const SIZE: usize = 125;
/// Bytes of a message to a room, as in the suite.
const ROOM_SIZE: usize = 128;
/// Connections of all sizes.
const SIZED_CONNS: usize = 16;
/// Open files of a server and of a load that are no connections.
const OTHER_FILES: u64 = 128;
/// No more connections than this, whatever the limits allow.
const MOST: u64 = 100_000;
/// Less than this is noise.
const CONSTANT: f64 = 1.1;

pub(super) const WARM_UP: Duration = Duration::from_millis(300);

/// Of a message, with so many connections: few of them at work, and all of them; at the same rate, and
/// at full load.
pub fn connections(plan: Plan, recipe: &Recipe) -> Result<Vec<Curve>> {
    let axes = |measured| Axes {
        row: "connections",
        measured,
        over: "connections",
        goal: Some(1.3),
    };
    let (rate, full) = (Pace::Rate(RATE), Pace::InFlight(IN_FLIGHT));
    let loads = [
        ("server CPU of an echo, 25,000/s over 100, µs", rate, false),
        ("server CPU of an echo, 25,000/s over all, µs", rate, true),
        ("server CPU of an echo, full load over 100, µs", full, false),
        ("server CPU of an echo, full load over all, µs", full, true),
    ];
    let files = machine::most_open_files(MOST + OTHER_FILES)?;
    let at = powers_and(files.saturating_sub(OTHER_FILES).min(MOST));
    let mut curves = loads.map(|(measured, ..)| Curve::new(axes(measured), &at));
    machine::pin(LOAD_CORE)?;
    let server = recipe.start()?;
    for _ in 0..plan.repetitions {
        for (nth, &count) in at.iter().enumerate() {
            let count = count as usize;
            let mut conns = Connections::open(server.target(), count, SIZE)?;
            server.target().settle()?;
            for (curve, (_, pace, all)) in curves.iter_mut().zip(loads) {
                let active = if all { count } else { FEW };
                let a_round = Duration::from_secs_f64(1.2 * active as f64 / RATE);
                let paced = Paced {
                    active,
                    pace,
                    warm_up: WARM_UP.max(a_round),
                    until: plan.until(),
                };
                let mut per_second = 0.0;
                plan.sample(curve, nth, &server, || {
                    let report = conns.run(paced)?;
                    per_second = report.per_second;
                    Ok(report.cpu_us)
                })?;
                // It was another load than the one asked for: others had the cores.
                if matches!(pace, Pace::Rate(rate) if per_second < 0.9 * rate) {
                    curve.points[nth].disturbed = true;
                }
            }
            drop(conns);
            server.target().settle()?;
        }
    }
    Ok(curves.into())
}

/// Of a delivery, in a room of so many members.
pub fn rooms(plan: Plan, recipe: &Recipe) -> Result<Vec<Curve>> {
    let axes = Axes {
        row: "rooms",
        measured: "server CPU of a delivery, µs",
        over: "members",
        goal: Some(CONSTANT),
    };
    let at = [10, 100, 1_000, 10_000];
    let mut curve = Curve::new(axes, &at);
    machine::pin(LOAD_CORE)?;
    let server = recipe.start()?;
    for _ in 0..plan.repetitions {
        for (nth, &receivers) in at.iter().enumerate() {
            let room = Room {
                receivers: receivers as usize,
                size: ROOM_SIZE,
                depth: 1,
                warm_up: WARM_UP,
                until: plan.until(),
            };
            plan.sample(&mut curve, nth, &server, || {
                Ok(room::run(server.target(), room)?.cpu_us)
            })?;
        }
    }
    Ok(vec![curve])
}

/// Of a message, and of each KiB of it, from 16 bytes to 1 MiB.
pub fn sizes(plan: Plan, recipe: &Recipe) -> Result<Vec<Curve>> {
    let axes = |measured, goal| Axes {
        row: "sizes",
        measured,
        over: "bytes",
        goal,
    };
    let at: Vec<u64> = (2..=10).map(|power| 4u64.pow(power)).collect();
    let mut each = Curve::new(axes("server CPU of an echo, µs", None), &at);
    machine::pin(LOAD_CORE)?;
    let server = recipe.start()?;
    for _ in 0..plan.repetitions {
        for (nth, &size) in at.iter().enumerate() {
            let echo = Echo {
                conns: SIZED_CONNS,
                size: size as usize,
                depth: 1,
                text: false,
                warm_up: WARM_UP,
                until: plan.until(),
            };
            plan.sample(&mut each, nth, &server, || {
                Ok(echo::run(server.target(), echo)?.cpu_us)
            })?;
        }
    }
    let kib = axes("server CPU of an echoed KiB, µs", Some(1.0));
    let kib = each.by(kib, |us, bytes| us * 1024.0 / bytes as f64);
    Ok(vec![each, kib])
}

impl Plan {
    pub(super) fn until(&self) -> Until {
        Until::Elapsed(Duration::from_secs_f64(self.sampling.seconds))
    }

    /// One sample for the point `nth`.
    pub(super) fn sample(
        &self,
        curve: &mut Curve,
        nth: usize,
        server: &Server,
        measure: impl FnMut() -> Result<f64>,
    ) -> Result<()> {
        let (value, others) = self.sampling.quietest(server, measure)?;
        curve.add(nth, value, others > DISTURBED);
        Ok(())
    }
}

/// 100, 1,000, 10,000 and so on as far as `most`, and `most` itself where it is well above the last.
fn powers_and(most: u64) -> Vec<u64> {
    let powers = (2..).map(|power| 10u64.pow(power));
    let mut at: Vec<u64> = powers.take_while(|&n| n <= most).collect();
    if at.last().is_none_or(|&last| 2 * most >= 3 * last) {
        at.push(most);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_a_point_of_its_own_where_it_is_well_above_the_last() {
        assert_eq!(powers_and(100_000), [100, 1_000, 10_000, 100_000]);
        assert_eq!(powers_and(19_872), [100, 1_000, 10_000, 19_872]);
        assert_eq!(powers_and(10_100), [100, 1_000, 10_000]);
    }
}
