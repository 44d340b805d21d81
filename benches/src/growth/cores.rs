//! Messages a second at full load, by the threads of the server.
//! The load is one thread, and shares the cores with the server: on a machine with few of them it is what
//! the server waits for.

use anyhow::Result;

use super::curve::{Axes, Curve};
use super::loads::{Plan, SIZE, WARM_UP};
use crate::load::echo::{self, Echo};
use crate::machine;
use crate::server::Recipe;

const CONNS: usize = 64;
/// Messages in flight on each connection: they make a message cheap for the load.
const DEPTH: usize = 16;

/// With 1, 2, 4 and so on threads, as far as there are cores; and how many cores the server uses.
pub fn cores(plan: Plan, recipe: &Recipe) -> Result<Vec<Curve>> {
    let axes = |measured| Axes {
        row: "cores",
        measured,
        over: "threads",
        goal: None,
    };
    machine::unpin()?;
    let cores = std::thread::available_parallelism()?.get();
    let powers = (0..).map(|power| 1u64 << power);
    let at: Vec<u64> = powers.take_while(|&n| n <= cores.max(2) as u64).collect();
    let mut rates = Curve::new(axes("echoes a second, sixteen in flight"), &at);
    let mut busy = Curve::new(axes("cores that the server uses"), &at);
    for _ in 0..plan.repetitions {
        for (nth, &threads) in at.iter().enumerate() {
            let server = recipe.clone().with_threads(threads as usize).start()?;
            let echo = Echo {
                conns: CONNS,
                size: SIZE,
                depth: DEPTH,
                text: false,
                warm_up: WARM_UP,
                until: plan.until(),
            };
            let mut used = 0.0;
            plan.sample(&mut rates, nth, &server, || {
                let report = echo::run(server.target(), echo)?;
                used = report.cpu_us * report.per_second / 1e6;
                Ok(report.per_second)
            })?;
            busy.add(nth, used, rates.points[nth].disturbed);
        }
    }
    Ok(vec![rates, busy])
}
