//! What is compared, and the table of it.
//! Runs nothing: samples are put in, a summary comes out.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::load::Target;
use crate::load::echo::{self, Echo};
use crate::load::handshake::{self, Handshake};
use crate::load::room::{self, Room};
use crate::load::steady::Until;
use crate::stats::Spread;

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, for `--rows` and the table.
    pub name: &'static str,
    /// What a server must be to stand in it.
    pub kind: Kind,
    load: Load,
}

/// What a server does. The rows of each kind are a table of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sends a message back.
    Echo,
    /// Sends it to all other members of the one room.
    Room,
    /// Sends it back, by an object that all connections share.
    Object,
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
        size: usize,
        depth: usize,
    },
}

/// All rows, in the tables' order.
pub const ROWS: [Row; 10] = [
    Row::echo("20B-D1", Kind::Echo, 64, 20, 1),
    Row::echo("125B-D1", Kind::Echo, 200, 125, 1),
    Row::echo("125B-D16", Kind::Echo, 64, 125, 16),
    // Few connections for the large rows: with many, the caches' misses hide the servers.
    Row::echo("16KiB-D1", Kind::Echo, 16, 16 * 1024, 1),
    Row::echo("64KiB-D1", Kind::Echo, 16, 64 * 1024, 1),
    Row {
        name: "handshake",
        kind: Kind::Echo,
        load: Load::Handshake { parallel: 32 },
    },
    Row::room("room-W1", 1),
    Row::room("room-W16", 16),
    Row::echo("object-20B-D1", Kind::Object, 64, 20, 1),
    Row::echo("object-20B-D16", Kind::Object, 64, 20, 16),
];

impl Row {
    const fn echo(name: &'static str, kind: Kind, conns: usize, size: usize, depth: usize) -> Self {
        let load = Load::Echo { conns, size, depth };
        Self { name, kind, load }
    }

    const fn room(name: &'static str, depth: usize) -> Self {
        let load = Load::Room {
            receivers: 1_000,
            size: 128,
            depth,
        };
        Self {
            name,
            kind: Kind::Room,
            load,
        }
    }

    /// What the row does, for the table.
    pub fn describe(&self) -> String {
        match self.load {
            Load::Echo { conns, size, depth } => {
                format!("{size} B, {depth} in flight, {conns} connections")
            }
            Load::Handshake { parallel } => format!("connect, upgrade, close, {parallel} at once"),
            Load::Room {
                receivers,
                size,
                depth,
            } => format!("{size} B, {depth} in flight, to {receivers} members"),
        }
    }

    /// Puts the row's load on a server: CPU µs for each message, and messages a second. One that is
    /// delivered to many counts as many.
    pub fn measure(&self, target: Target, seconds: f64) -> Result<(f64, f64)> {
        /// A second's worth of handshakes, roughly.
        const HANDSHAKES: f64 = 8_000.0;
        const WARM_UP: Duration = Duration::from_millis(300);
        let until = Until::Elapsed(Duration::from_secs_f64(seconds));
        match self.load {
            Load::Echo { conns, size, depth } => {
                let echo = Echo {
                    conns,
                    size,
                    depth,
                    text: false,
                    warm_up: WARM_UP,
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
            Load::Room {
                receivers,
                size,
                depth,
            } => {
                let room = Room {
                    receivers,
                    size,
                    depth,
                    warm_up: WARM_UP,
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

/// All samples of a run. The first server of a row is the one that the row's others are measured
/// against.
#[derive(Debug)]
pub struct Comparison {
    /// Names, in the tables' order.
    pub servers: Vec<&'static str>,
    /// Rows in the tables' order.
    pub rows: Vec<Row>,
    /// In the order taken: those of one row and server by repetition.
    pub samples: Vec<Sample>,
}

impl Comparison {
    /// Every row and server that was measured.
    pub fn cells(&self) -> Vec<Cell> {
        self.rows.iter().flat_map(|row| self.row(row)).collect()
    }

    fn row(&self, row: &Row) -> Vec<Cell> {
        let mut cells = Vec::new();
        let mut first: Option<Vec<f64>> = None;
        for server in self.servers.iter().copied() {
            let cpu = self.of(row.name, server, |s| s.cpu_us);
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
                ratio: first
                    .as_ref()
                    .and_then(|first| Spread::of_ratios(first, &cpu)),
            });
            first.get_or_insert(cpu);
        }
        cells
    }

    /// A markdown table of each kind.
    pub fn tables(&self) -> String {
        let tables = self.rows.chunk_by(|a, b| a.kind == b.kind);
        let tables: Vec<_> = tables.map(|rows| self.table(rows)).collect();
        tables.join("\n")
    }

    /// All rows of a kind have the same servers.
    fn table(&self, rows: &[Row]) -> String {
        let mut head = String::from("| server CPU, µs each |");
        let mut rule = String::from("| --- |");
        let mut body = String::new();
        for row in rows {
            let cells = self.row(row);
            if body.is_empty() {
                for cell in &cells {
                    let _ = write!(head, " {} |", cell.server);
                    rule.push_str(" ---: |");
                }
                for cell in cells.iter().skip(1) {
                    let _ = write!(head, " {} / {} (min–max) |", cells[0].server, cell.server);
                    rule.push_str(" ---: |");
                }
            }
            let _ = write!(body, "| {}: {} |", row.name, row.describe());
            for cell in &cells {
                let _ = write!(body, " {:.2} |", cell.cpu_us.median);
            }
            for ratio in cells.iter().filter_map(|cell| cell.ratio) {
                let Spread { median, min, max } = ratio;
                let _ = write!(body, " **{median:.2}** ({min:.2}–{max:.2}) |");
            }
            body.push('\n');
        }
        format!("{head}\n{rule}\n{body}")
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

    fn sample(row: Row, server: &'static str, cpu_us: f64) -> Sample {
        Sample {
            row: row.name,
            server,
            repetition: 0,
            cpu_us,
            per_second: 1.0,
            others: 0.0,
        }
    }

    #[test]
    fn table_has_a_ratio_for_each_further_server() {
        let comparison = Comparison {
            servers: vec!["one", "two"],
            rows: vec![ROWS[0]],
            samples: vec![sample(ROWS[0], "one", 3.0), sample(ROWS[0], "two", 4.0)],
        };
        let table = comparison.tables();
        assert!(
            table.ends_with("| 3.00 | 4.00 | **0.75** (0.75–0.75) |\n"),
            "{table}"
        );
    }

    #[test]
    fn each_kind_has_a_table_of_the_servers_that_are_of_it() {
        let (echo, room) = (ROWS[0], Row::room("room", 1));
        let comparison = Comparison {
            servers: vec!["one", "two", "three"],
            rows: vec![echo, room],
            samples: vec![
                sample(echo, "one", 3.0),
                sample(room, "two", 1.0),
                sample(room, "three", 4.0),
            ],
        };
        let tables = comparison.tables();
        let (echoes, rooms) = tables.split_once("\n\n").unwrap();
        assert!(echoes.ends_with("connections | 3.00 |"), "{tables}");
        assert!(
            rooms.starts_with("| server CPU, µs each | two | three | two / three (min–max) |\n"),
            "{tables}"
        );
        assert!(
            rooms.ends_with("| 1.00 | 4.00 | **0.25** (0.25–0.25) |\n"),
            "{tables}"
        );
    }
}
