//! Which charts are made of the results.
//! Draws nothing: see `chart`.

use super::chart::{Bar, Chart, Panel};
use super::contenders::OURS;
use super::report::{Results, counting, figure, thousands};
use crate::comparison::Cell;
use crate::rows::{Kind, Row};

/// The charts that there is something for, each with its file's name.
pub fn of(results: &Results) -> Vec<(&'static str, Chart)> {
    let all = [
        ("cpu.svg", cpu(results, Kind::Echo)),
        ("rooms.svg", cpu(results, Kind::Room)),
        ("tls.svg", cpu(results, Kind::Tls)),
        ("throughput.svg", throughput(results)),
        ("latency.svg", latency(results)),
        ("memory.svg", memory(results)),
        ("durable.svg", durable(results)),
    ];
    let shown = all.into_iter();
    shown
        .filter(|(_, chart)| !chart.panels.is_empty())
        .collect()
}

fn cpu(results: &Results, kind: Kind) -> Chart {
    let title = match kind {
        Kind::Room => "Rooms: server CPU for each delivery, µs",
        Kind::Tls => "Echo over TLS: server CPU for each message, µs",
        _ => "Server CPU for each message, µs",
    };
    Chart {
        title: title.to_owned(),
        note: "User and kernel time of all the server's threads, on one core. Less is better."
            .to_owned(),
        panels: panels(results, &[kind], |cell| {
            Some(bar(cell, cell.cpu_us.median, figure(cell.cpu_us.median)))
        }),
        cuts: true,
    }
}

fn throughput(results: &Results) -> Chart {
    let mut panels = panels(results, &[Kind::Echo, Kind::Room], |cell| {
        let rate = cell.per_second.median;
        Some(bar(cell, rate, figure(rate)))
    });
    panels.iter_mut().for_each(|panel| panel.bars.reverse());
    Chart {
        title: "Messages a second".to_owned(),
        note: "Server on one core, load on one core: where the load is full, servers look alike. \
               More is better."
            .to_owned(),
        panels,
        cuts: false,
    }
}

fn latency(results: &Results) -> Chart {
    Chart {
        title: "Round trip, µs: p50 / p99 / p99.9".to_owned(),
        note: "All connections send at once, each waits for its reply. Dark: p50, light: p99. \
               Less is better."
            .to_owned(),
        panels: panels(results, &[Kind::Echo], |cell| {
            let latency = cell.latency?;
            let [p50, p99, p999] = [latency.p50_us, latency.p99_us, latency.p999_us].map(figure);
            Some(Bar {
                further: Some(latency.p99_us),
                ..bar(cell, latency.p50_us, format!("{p50} / {p99} / {p999}"))
            })
        }),
        cuts: true,
    }
}

fn memory(results: &Results) -> Chart {
    let bars = results.memory.iter().map(|memory| Bar {
        label: memory.server.to_owned(),
        value: memory.bytes.max(0.0),
        further: None,
        text: figure(memory.bytes),
        highlighted: memory.server == OURS,
    });
    let conns = results.memory.first().map_or(0, |memory| memory.conns);
    let conns = thousands(conns as u64);
    let title = format!("of {conns} connections, after a message");
    Chart {
        title: "Memory of an idle connection, bytes".to_owned(),
        note: "Anonymous, resident, in user space. Less is better.".to_owned(),
        panels: panel(title, bars.collect()).into_iter().collect(),
        cuts: true,
    }
}

fn durable(results: &Results) -> Chart {
    let panels = results.durable.iter().filter_map(|report| {
        let bar = |label: &str, rate| Bar {
            label: label.to_owned(),
            value: rate,
            further: None,
            text: figure(rate),
            highlighted: label == OURS,
        };
        let group = match report.counting.group {
            1 => "SQLite, single".to_owned(),
            group => format!("SQLite, by {group}"),
        };
        let bars = vec![
            bar(OURS, report.ours.median),
            bar(&group, report.bare.median),
        ];
        let mut panel = panel(counting(report), bars)?;
        panel.bars.reverse();
        Some(panel)
    });
    Chart {
        title: "Durable increments a second, beside a bare loop of SQLite commits".to_owned(),
        note: "Each answer leaves after its commit is on the disk. More is better.".to_owned(),
        panels: panels.collect(),
        cuts: false,
    }
}

/// A panel for each row, its bars from the shortest.
fn panels(results: &Results, kinds: &[Kind], bar: impl Fn(&Cell) -> Option<Bar>) -> Vec<Panel> {
    let rows = results.comparison.rows.iter();
    let rows = rows.filter(|row| kinds.contains(&row.kind));
    let panels = rows.filter_map(|row: &Row| {
        let cells = results.comparison.row(row);
        panel(
            format!("{}: {}", row.name, row.describe()),
            cells.iter().filter_map(&bar).collect(),
        )
    });
    panels.collect()
}

fn panel(title: String, mut bars: Vec<Bar>) -> Option<Panel> {
    bars.sort_by(|a, b| a.value.total_cmp(&b.value));
    (!bars.is_empty()).then_some(Panel { title, bars })
}

fn bar(cell: &Cell, value: f64, text: String) -> Bar {
    Bar {
        label: cell.server.to_owned(),
        value,
        further: None,
        text: match cell.disturbed {
            true => format!("~ {text}"),
            false => text,
        },
        highlighted: cell.server == OURS,
    }
}
