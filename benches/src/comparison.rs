//! What is compared, and the table of it.
//! Runs nothing: samples are put in, a summary comes out.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::load::echo::{self, Echo};
use crate::load::handshake::{self, Handshake};
use crate::load::room::{self, Room};
use crate::load::{Target, Until};
use crate::server::Kind;
use crate::stats::Spread;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, for `--rows` and the table.
    pub name: &'static str,
    load: Load,
}

#[derive(Debug, Clone, Copy)]
enum Load {
    Echo {
        conns: usize,
        size: usize,
        depth: usize,
    },
    Handshake {
        parallel: usize,
    },
    Room {
        receivers: usize,
        depth: usize,
    },
}

/// Bytes of a message in a room.
const ROOM_MESSAGE: usize = 128;

/// All rows, in the table's order.
pub const ROWS: [Row; 8] = [
    Row::echo("20B-D1", 64, 20, 1),
    Row::echo("125B-D1", 200, 125, 1),
    Row::echo("125B-D16", 64, 125, 16),
    // Few connections for the large rows: with many, the caches' misses hide the servers.
    Row::echo("16KiB-D1", 16, 16 * 1024, 1),
    Row::echo("64KiB-D1", 16, 64 * 1024, 1),
    Row {
        name: "handshake",
        load: Load::Handshake { parallel: 32 },
    },
    Row::room("room-W1", 1),
    Row::room("room-W16", 16),
];

impl Row {
    const fn echo(name: &'static str, conns: usize, size: usize, depth: usize) -> Self {
        let load = Load::Echo { conns, size, depth };
        Self { name, load }
    }

    const fn room(name: &'static str, depth: usize) -> Self {
        let receivers = 1_000;
        let load = Load::Room { receivers, depth };
        Self { name, load }
    }

    /// What its servers have to do.
    pub fn kind(&self) -> Kind {
        match self.load {
            Load::Room { .. } => Kind::Room,
            Load::Echo { .. } | Load::Handshake { .. } => Kind::Echo,
        }
    }

    /// What the row does, for the table.
    pub fn describe(&self) -> String {
        match self.load {
            Load::Echo { conns, size, depth } => {
                format!("{size} B, {depth} in flight, {conns} connections")
            }
            Load::Handshake { parallel } => format!("connect, upgrade, close, {parallel} at once"),
            Load::Room { receivers, depth } => {
                format!("{ROOM_MESSAGE} B to {receivers} others, {depth} in flight")
            }
        }
    }

    /// Puts the row's load on a server: CPU µs for each message, and messages a second. In a room
    /// that is each message that comes to somebody.
    pub fn measure(&self, target: Target, seconds: f64) -> Result<(f64, f64)> {
        /// A second's worth of handshakes, roughly.
        const HANDSHAKES: f64 = 8_000.0;
        let warm_up = Duration::from_millis(300);
        let until = Until::Elapsed(Duration::from_secs_f64(seconds));
        match self.load {
            Load::Echo { conns, size, depth } => {
                let echo = Echo {
                    conns,
                    size,
                    depth,
                    text: false,
                    warm_up,
                    until,
                };
                let report = echo::run(target, echo)?;
                Ok((report.cpu_us, report.per_second))
            }
            Load::Handshake { parallel } => {
                let count = (seconds * HANDSHAKES).ceil() as usize;
                let report = handshake::run(target, Handshake { count, parallel })?;
                Ok((report.cpu_us, report.per_second))
            }
            Load::Room { receivers, depth } => {
                let room = Room {
                    receivers,
                    size: ROOM_MESSAGE,
                    depth,
                    warm_up,
                    until,
                };
                let report = room::run(target, room)?;
                Ok((report.cpu_us, report.per_second))
            }
        }
    }
}

/// One measurement of one server.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    /// The row's name.
    pub row: &'static str,
    /// The server's name.
    pub server: &'static str,
    /// Which repetition, from 0.
    pub repetition: usize,
    /// The server's CPU time for each message.
    pub cpu_us: f64,
    /// Messages a second.
    pub per_second: f64,
    /// The part of one core that neither server nor load used.
    pub others: f64,
}

/// One server in one row.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// The row's name.
    pub row: &'static str,
    /// The server's name.
    pub server: &'static str,
    /// CPU time for each message.
    pub cpu_us: Spread,
    /// Messages a second.
    pub per_second: Spread,
    /// The first server's CPU time over this one's, of each repetition.
    pub ratio: Option<Spread>,
}

/// All samples of a run. The first server is the one that the others are measured against.
#[derive(Debug)]
pub struct Comparison {
    /// Names, the first one's ratio to each of the others is given.
    pub servers: Vec<&'static str>,
    /// Rows in the table's order.
    pub rows: Vec<Row>,
    /// In the order taken: those of one row and server by repetition.
    pub samples: Vec<Sample>,
}

impl Comparison {
    /// Every row and server that was measured.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for row in &self.rows {
            for (nth, server) in self.servers.iter().copied().enumerate() {
                let cpu = self.of(row.name, server, |s| s.cpu_us);
                let first = self.of(row.name, self.servers[0], |s| s.cpu_us);
                let per_second = self.of(row.name, server, |s| s.per_second);
                let (Some(cpu_us), Some(per_second)) =
                    (Spread::of(cpu.iter().copied()), Spread::of(per_second))
                else {
                    continue;
                };
                cells.push(Cell {
                    row: row.name,
                    server,
                    cpu_us,
                    per_second,
                    ratio: (nth > 0).then(|| Spread::of_ratios(&first, &cpu)).flatten(),
                });
            }
        }
        cells
    }

    /// The markdown table.
    pub fn table(&self) -> String {
        let mut head = String::from("| server CPU, µs each |");
        let mut rule = String::from("| --- |");
        for server in &self.servers {
            let _ = write!(head, " {server} |");
            rule.push_str(" ---: |");
        }
        for server in &self.servers[1..] {
            let _ = write!(head, " {} / {server} (min–max) |", self.servers[0]);
            rule.push_str(" ---: |");
        }
        let cells = self.cells();
        let mut table = format!("{head}\n{rule}\n");
        for row in &self.rows {
            let cells: Vec<&Cell> = cells.iter().filter(|c| c.row == row.name).collect();
            let _ = write!(table, "| {}: {} |", row.name, row.describe());
            let of = |server: &&str| cells.iter().find(|cell| cell.server == *server);
            for server in &self.servers {
                let cpu = of(server).map(|cell| format!("{:.2}", cell.cpu_us.median));
                let _ = write!(table, " {} |", cpu.as_deref().unwrap_or("–"));
            }
            for server in &self.servers[1..] {
                let ratio =
                    of(server)
                        .and_then(|cell| cell.ratio)
                        .map(|Spread { median, min, max }| {
                            format!("**{median:.2}** ({min:.2}–{max:.2})")
                        });
                let _ = write!(table, " {} |", ratio.as_deref().unwrap_or("–"));
            }
            table.push('\n');
        }
        table
    }

    fn of(&self, row: &str, server: &str, value: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.samples
            .iter()
            .filter(|s| s.row == row && s.server == server)
            .map(value)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_a_ratio_for_each_further_server() {
        let sample = |server, cpu_us| Sample {
            row: ROWS[0].name,
            server,
            repetition: 0,
            cpu_us,
            per_second: 1.0,
            others: 0.0,
        };
        let comparison = Comparison {
            servers: vec!["one", "two", "absent"],
            rows: vec![ROWS[0]],
            samples: vec![sample("one", 3.0), sample("two", 4.0)],
        };
        let table = comparison.table();
        assert!(
            table.ends_with("| 3.00 | 4.00 | – | **0.75** (0.75–0.75) | – |\n"),
            "{table}"
        );
    }
}
