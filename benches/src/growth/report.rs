//! The curves, as JSON and as a table in markdown.
//! Runs nothing.

use serde_json::{Value, json};

use super::curve::{Curve, Point};
use crate::rows::bytes;
use crate::stats::Spread;
use crate::suite::description::Machine;
use crate::suite::report::{figure, table, thousands};

/// A line for each curve: its points, its end and its greatest against its beginning, and the goal.
pub fn markdown(machine: &Machine, curves: &[Curve]) -> String {
    let head = [
        "",
        "over",
        "at",
        "figures",
        "last ÷ first (min–max)",
        "greatest ÷ first",
        "goal",
    ];
    let lines = curves.iter().map(line);
    format!("{}.\n\n{}", machine.describe(), table(&head, lines))
}

/// Everything, samples included.
pub fn json(machine: &Machine, curves: &[Curve]) -> Value {
    let curves = curves.iter().map(|curve| {
        json!({
            "curve": curve,
            "ratios": curve.ratios(),
            "within": curve.is_within(),
        })
    });
    json!({"machine": machine, "curves": curves.collect::<Vec<_>>()})
}

/// A point's place, as a reader wants it.
pub fn place(curve: &Curve, point: &Point) -> String {
    match curve.axes.over {
        "bytes" => bytes(point.at as usize),
        _ => thousands(point.at),
    }
}

fn line(curve: &Curve) -> Vec<String> {
    let ratios = curve.ratios();
    let greatest = ratios.iter().map(|ratio| ratio.median).reduce(f64::max);
    let joined = |text: &dyn Fn(&Point) -> String| {
        let texts: Vec<_> = curve.points.iter().map(text).collect();
        texts.join(" · ")
    };
    let goal = curve.axes.goal.map(|goal| format!("≤ {goal}"));
    let missed = match curve.is_within() {
        Some(false) => ", **missed**",
        _ => "",
    };
    vec![
        curve.axes.measured.to_owned(),
        curve.axes.over.to_owned(),
        joined(&|point| place(curve, point)),
        joined(&|point| measured(point)),
        ratios.last().map_or(String::new(), ratio),
        greatest.map_or(String::new(), |ratio| format!("{ratio:.2}")),
        goal.unwrap_or_default() + missed,
    ]
}

/// The median; `~` where something else was running.
fn measured(point: &Point) -> String {
    let mark = if point.disturbed { "~" } else { "" };
    let median = point.spread().map_or(f64::NAN, |spread| spread.median);
    format!("{mark}{}", figure(median))
}

fn ratio(ratio: &Spread) -> String {
    let Spread { median, min, max } = ratio;
    // Of each KiB, a large message is a thousand times cheaper than a small one.
    let digits = if *median < 0.1 { 4 } else { 2 };
    format!("**{median:.digits$}** ({min:.digits$}–{max:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::curve::Axes;

    #[test]
    fn a_missed_goal_is_said() {
        let axes = Axes {
            row: "row",
            measured: "µs",
            over: "bytes",
            goal: Some(1.3),
        };
        let mut curve = Curve::new(axes, &[16, 1_024]);
        curve.add(0, 2.0, false);
        curve.add(1, 3.0, true);
        let line = line(&curve).join(" | ");
        assert_eq!(
            line,
            "µs | bytes | 16 B · 1 KiB | 2.00 · ~3.00 | **1.50** (1.50–1.50) | 1.50 | ≤ 1.3, **missed**"
        );
    }
}
