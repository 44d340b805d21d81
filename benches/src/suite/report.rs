//! The results, as JSON and as tables in markdown.
//! Runs nothing.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::contenders::OURS;
use super::description::Machine;
use crate::comparison::{Cell, Comparison};
use crate::durable;
use crate::load::latency::Latency;
use crate::rows::Kind;
use crate::stats::Spread;

/// All that a run has shown.
#[derive(Debug)]
pub struct Results {
    /// Where it ran.
    pub machine: Machine,
    /// How it was measured.
    pub settings: Settings,
    /// Names and versions.
    pub servers: Vec<(String, String)>,
    /// Every sample.
    pub comparison: Comparison,
    /// In the servers' order.
    pub memory: Vec<Memory>,
    /// Ours alone.
    pub durable: Vec<durable::Report>,
    /// What is missing, and why.
    pub failures: Vec<Failure>,
}

/// How samples were taken.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Settings {
    /// Length of a sample.
    pub seconds: f64,
    /// Samples of each row and server.
    pub repetitions: usize,
    /// How often a disturbed one was taken, at most.
    pub tries: usize,
}

/// What an idle connection holds, in bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Memory {
    /// The server's name.
    pub server: &'static str,
    /// Connections, each idle after a message.
    pub conns: usize,
    /// Anonymous resident memory of each.
    pub bytes: f64,
}

/// A row that a server could not do.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// The row's name.
    pub row: &'static str,
    /// The server's name.
    pub server: &'static str,
    /// What was seen.
    pub error: String,
}

impl Results {
    /// Everything, samples included.
    pub fn json(&self) -> Value {
        let servers = self.servers.iter();
        let servers = servers.map(|(name, version)| json!({"name": name, "version": version}));
        json!({
            "machine": self.machine,
            "settings": self.settings,
            "servers": servers.collect::<Vec<_>>(),
            "cells": self.comparison.cells(),
            "memory": self.memory,
            "durable": self.durable,
            "failures": self.failures,
            "samples": self.comparison.samples,
        })
    }

    /// Tables for a reader, above them the charts of these files.
    pub fn markdown(&self, charts: &[&str]) -> String {
        let mut out = format!("# Results\n\n{}.\n\n", self.machine.describe());
        let versions = self.servers.iter();
        let versions = versions.map(|(name, version)| format!("{name} {version}"));
        let _ = writeln!(out, "{}.\n", versions.collect::<Vec<_>>().join(", "));
        out.push_str(&self.how());
        for chart in charts {
            let _ = writeln!(out, "\n![{chart}]({chart})");
        }
        for kinds in self.comparison.rows.chunk_by(|a, b| a.kind == b.kind) {
            let _ = writeln!(out, "\n## {}", heading(kinds[0].kind));
            for row in kinds {
                let cells = self.comparison.row(row);
                if !cells.is_empty() {
                    let _ = writeln!(out, "\n### {}: {}\n", row.name, row.describe());
                    out.push_str(&row_table(&cells));
                }
            }
        }
        out.push_str(&self.memory_table());
        out.push_str(&self.durable_table());
        out.push_str(&self.failed());
        out
    }

    fn how(&self) -> String {
        let Settings {
            seconds,
            repetitions,
            ..
        } = self.settings;
        let samples = &self.comparison.samples;
        if samples.is_empty() {
            return String::new();
        }
        let disturbed = samples.iter().filter(|s| s.is_disturbed()).count();
        format!(
            "Medians of {repetitions} repetitions of {seconds} s. {disturbed} of {} samples were \
             disturbed and do not count, but where a server has no other one in a row: `~`.\n",
            samples.len()
        )
    }

    fn memory_table(&self) -> String {
        let Some(first) = self.memory.first() else {
            return String::new();
        };
        let mut memory = self.memory.clone();
        memory.sort_by(|a, b| a.bytes.total_cmp(&b.bytes));
        let lines = memory.iter();
        let lines = lines.map(|m| vec![name(m.server, false), figure(m.bytes)]);
        format!(
            "\n## Memory\n\nBytes for an idle connection that has echoed a message, of {}.\n\n{}",
            thousands(first.conns as u64),
            table(&["server", "bytes"], lines)
        )
    }

    fn durable_table(&self) -> String {
        if self.durable.is_empty() {
            return String::new();
        }
        let lines = self.durable.iter().map(|report| {
            vec![
                counting(report),
                figure(report.ours.median),
                figure(report.bare.median),
                ratio(report.ratio),
            ]
        });
        format!(
            "\n## Durable increments of {OURS}\n\n{}",
            table(
                &["", "increments/s", "bare SQLite commits/s", "ratio"],
                lines
            )
        )
    }

    fn failed(&self) -> String {
        if self.failures.is_empty() {
            return String::new();
        }
        let mut out = String::from("\n## Not done\n\n");
        for Failure { row, server, error } in &self.failures {
            let _ = writeln!(out, "- {server}, {row}: {error}");
        }
        out
    }
}

/// Who counted.
pub fn counting(report: &durable::Report) -> String {
    let counting = report.counting;
    let plural = |count: usize, thing: &str| match count {
        1 => format!("1 {thing}"),
        _ => format!("{} {thing}s", thousands(count as u64)),
    };
    format!(
        "{}, {}, {} in flight",
        plural(counting.counters, "object"),
        plural(counting.conns, "client"),
        counting.depth
    )
}

/// A number as a reader wants it: three digits or more, and thousands apart.
pub fn figure(value: f64) -> String {
    if value.abs() < 9.995 {
        return format!("{value:.2}");
    }
    if value.abs() < 99.95 {
        return format!("{value:.1}");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", thousands(value.abs().round() as u64))
}

/// A count, thousands apart.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Echo => "Echo",
        Kind::Room => "Rooms",
        Kind::Object => "An object's echo",
        Kind::Tls => "Echo over TLS",
        Kind::Proxy => "A proxy in front of an echo",
    }
}

/// The servers of one row, the cheapest first.
fn row_table(cells: &[Cell]) -> String {
    let mut cells: Vec<&Cell> = cells.iter().collect();
    cells.sort_by(|a, b| a.cpu_us.median.total_cmp(&b.cpu_us.median));
    let timed = cells.iter().any(|cell| cell.latency.is_some());
    let mut head = vec![
        "server",
        "CPU µs each (min–max)",
        "wsworker ÷ it (min–max)",
        "messages/s",
    ];
    if timed {
        head.extend(["p50 µs", "p99 µs", "p99.9 µs"]);
    }
    let lines = cells.iter().map(|cell| {
        let Spread { median, min, max } = cell.cpu_us;
        let mut line = vec![
            name(cell.server, cell.disturbed),
            format!("{} ({}–{})", figure(median), figure(min), figure(max)),
            cell.ratio.map_or(String::new(), ratio),
            figure(cell.per_second.median),
        ];
        if let Some(latency) = cell.latency {
            let Latency {
                p50_us,
                p99_us,
                p999_us,
                ..
            } = latency;
            line.extend([p50_us, p99_us, p999_us].map(figure));
        }
        line
    });
    table(&head, lines)
}

fn name(server: &str, disturbed: bool) -> String {
    let mark = if disturbed { " ~" } else { "" };
    match server == OURS {
        true => format!("**{server}**{mark}"),
        false => format!("{server}{mark}"),
    }
}

fn ratio(ratio: Spread) -> String {
    let Spread { median, min, max } = ratio;
    format!("**{median:.2}** ({min:.2}–{max:.2})")
}

/// A markdown table; all columns but the first are numbers.
pub(crate) fn table(head: &[&str], lines: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = format!("| {} |\n| ---", head.join(" | "));
    out.push_str(&" | ---:".repeat(head.len() - 1));
    out.push_str(" |\n");
    for line in lines {
        let _ = writeln!(out, "| {} |", line.join(" | "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_thousands_apart() {
        let figures = [0.5, 9.999, 12.34, 99.96, 1_052.4, 1_234_567.0].map(figure);
        let expected = ["0.50", "10.0", "12.3", "100", "1,052", "1,234,567"];
        assert_eq!(figures, expected);
    }

    #[test]
    fn a_row_lists_the_cheapest_server_first() {
        let cell = |server, cpu: f64, ratio: Option<f64>| Cell {
            row: "row",
            server,
            cpu_us: Spread::of([cpu]).unwrap(),
            per_second: Spread::of([1000.0]).unwrap(),
            latency: None,
            ratio: ratio.and_then(|ratio| Spread::of([ratio])),
            samples: 1,
            disturbed: server == "other",
        };
        let table = row_table(&[cell("wsworker", 3.0, None), cell("other", 1.5, Some(2.0))]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[1], "| --- | ---: | ---: | ---: |");
        assert_eq!(
            lines[2],
            "| other ~ | 1.50 (1.50–1.50) | **2.00** (2.00–2.00) | 1,000 |"
        );
        assert_eq!(lines[3], "| **wsworker** | 3.00 (3.00–3.00) |  | 1,000 |");
    }
}
