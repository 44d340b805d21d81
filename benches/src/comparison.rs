//! What is compared, and the table of it.
//! Runs nothing: samples are put in, a summary comes out.

use std::fmt::Write as _;

use serde::Serialize;

use crate::load::latency::Latency;
use crate::rows::Row;
use crate::sampling::DISTURBED;
use crate::stats::Spread;

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
    /// Round trips, where one message is in flight on each connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The part of one core that neither server nor load used.
    pub others: f64,
}

impl Sample {
    /// Whether something else was running at the time.
    pub fn is_disturbed(&self) -> bool {
        self.others > DISTURBED
    }
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
    /// Medians of the samples' round trips.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The first server's CPU time over this one's, of each repetition.
    pub ratio: Option<Spread>,
    /// Samples that count.
    pub samples: usize,
    /// Those are disturbed: there was no other one.
    pub disturbed: bool,
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

    /// The servers of one row, in order.
    pub fn row(&self, row: &Row) -> Vec<Cell> {
        let mut cells = Vec::new();
        let mut first: Option<Vec<&Sample>> = None;
        for server in self.servers.iter().copied() {
            let samples = self.counting(row.name, server);
            let spread = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(|s| value(s)));
            let (Some(cpu_us), Some(per_second)) = (spread(|s| s.cpu_us), spread(|s| s.per_second))
            else {
                continue;
            };
            cells.push(Cell {
                row: row.name,
                server,
                cpu_us,
                per_second,
                latency: median_latency(&samples),
                ratio: first.as_ref().and_then(|first| ratio(first, &samples)),
                samples: samples.len(),
                disturbed: samples.iter().any(|sample| sample.is_disturbed()),
            });
            first.get_or_insert(samples);
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

    /// The undisturbed samples; all of them where there is none.
    fn counting(&self, row: &str, server: &str) -> Vec<&Sample> {
        let all = self.samples.iter();
        let all = all.filter(|s| s.row == row && s.server == server);
        let quiet: Vec<_> = all.clone().filter(|s| !s.is_disturbed()).collect();
        match quiet.is_empty() {
            true => all.collect(),
            false => quiet,
        }
    }
}

/// Of the repetitions that are in both.
fn ratio(first: &[&Sample], other: &[&Sample]) -> Option<Spread> {
    let same = |sample: &Sample| {
        let mut first = first.iter();
        first.find(|first| first.repetition == sample.repetition)
    };
    let pairs = other.iter().filter_map(|other| Some((same(other)?, other)));
    let (first, other): (Vec<_>, Vec<_>) = pairs.map(|(a, b)| (a.cpu_us, b.cpu_us)).unzip();
    Spread::of_ratios(&first, &other)
}

fn median_latency(samples: &[&Sample]) -> Option<Latency> {
    let median = |value: fn(&Latency) -> f64| {
        let values = samples.iter().filter_map(|s| s.latency.as_ref()).map(value);
        Spread::of(values).map(|spread| spread.median)
    };
    Some(Latency {
        p50_us: median(|l| l.p50_us)?,
        p99_us: median(|l| l.p99_us)?,
        p999_us: median(|l| l.p999_us)?,
        max_us: median(|l| l.max_us)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Kind, ROWS};

    fn sample(row: Row, server: &'static str, cpu_us: f64) -> Sample {
        Sample {
            row: row.name,
            server,
            repetition: 0,
            cpu_us,
            per_second: 1.0,
            latency: None,
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
        let echo = ROWS[0];
        let room = *ROWS.iter().find(|row| row.kind == Kind::Room).unwrap();
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

    #[test]
    fn disturbed_samples_count_only_where_there_is_no_other() {
        let row = ROWS[0];
        let of = |server, repetition, cpu_us, others| Sample {
            repetition,
            others,
            ..sample(row, server, cpu_us)
        };
        let comparison = Comparison {
            servers: vec!["one", "two"],
            rows: vec![row],
            samples: vec![
                of("one", 0, 1.0, 0.0),
                of("one", 1, 3.0, 0.0),
                of("two", 0, 9.0, 0.5),
                of("two", 1, 6.0, 0.0),
            ],
        };
        let cells = comparison.cells();
        assert_eq!(cells[0].cpu_us.median, 2.0);
        assert_eq!(cells[1].cpu_us.median, 6.0);
        assert_eq!(cells[1].ratio.unwrap().median, 0.5);
        assert!(!cells[1].disturbed);

        let disturbed = Comparison {
            samples: vec![of("one", 0, 1.0, 0.5)],
            ..comparison
        };
        assert!(disturbed.cells()[0].disturbed);
    }
}
