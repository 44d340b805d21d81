//! One measurement of one server, taken again while something else is running.
//! Does not know what is compared.

use anyhow::Result;

use crate::comparison::Sample;
use crate::machine::Quiet;
use crate::rows::Row;
use crate::server::Server;

/// A sample taken while others used more than this part of a core is taken again.
pub const DISTURBED: f64 = 0.05;

/// How a sample is taken.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// Length of the measured part.
    pub seconds: f64,
    /// How often it is taken, at most, while something else is running; at least once.
    pub tries: usize,
}

impl Sampling {
    /// Puts the row's load on the server; of several tries the quietest one counts. The server has
    /// done what is left to do when this returns, so that it does not disturb the next one.
    pub fn take(&self, row: Row, server: &Server, repetition: usize) -> Result<Sample> {
        let measure = || row.measure(server.target(), self.seconds);
        let (measured, others) = self.quietest(server, measure)?;
        Ok(Sample {
            row: row.name,
            server: server.name,
            repetition,
            cpu_us: measured.cpu_us,
            per_second: measured.per_second,
            latency: measured.latency,
            others,
        })
    }

    /// What `measure` gives when the least of a core is used by others, and how much that is.
    pub fn quietest<T>(
        &self,
        server: &Server,
        mut measure: impl FnMut() -> Result<T>,
    ) -> Result<(T, f64)> {
        let mut best: Option<(T, f64)> = None;
        for _ in 0..self.tries {
            let quiet = Quiet::watch(server.pids())?;
            let measured = measure()?;
            let others = quiet.others()?;
            server.target().settle()?;
            if best.as_ref().is_none_or(|(_, least)| others < *least) {
                best = Some((measured, others));
            }
            if others <= DISTURBED {
                break;
            }
        }
        Ok(best.expect("at least one try is made"))
    }
}
