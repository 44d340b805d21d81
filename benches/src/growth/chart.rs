//! Curves as an SVG, a panel for each, with a logarithmic axis below; in the suite's style.
//! Does not know what is shown.

use svg::Document;
use svg::node::Node as _;
use svg::node::element::{Circle, Line, Polyline};

use super::curve::Curve;
use super::report::place;
use crate::suite::chart::{GAP, HEAD, MARGIN, TITLE, card, text_at};
use crate::suite::report::figure;

const LINES: &str = "
.curve { fill: none; stroke: #0969da; stroke-width: 2 } .point { fill: #0969da }
.axis { stroke: #d1d9e0 } .goal { stroke: #59636e; stroke-dasharray: 4 4 } .middle { text-anchor: middle }
@media (prefers-color-scheme: dark) {
.curve { stroke: #4493f8 } .point { fill: #4493f8 } .axis { stroke: #3d444d } .goal { stroke: #9198a1 }
}
";

const COLUMNS: usize = 2;
const PANEL: usize = 430;
const HEIGHT: usize = 130;
/// Below the axis, for its numbers and its name.
const FOOT: usize = 36;
const PITCH: usize = TITLE + HEIGHT + FOOT + 12;
/// At both sides, for the first and the last number.
const INSET: usize = 34;

/// The picture of curves that belong together, each above its goal's line if it has one.
pub fn svg(title: &str, curves: &[Curve]) -> String {
    let note = "Medians. The dashed line is the goal: no point shall be above it.";
    let columns = curves.len().clamp(1, COLUMNS);
    let width = columns * PANEL + (columns - 1) * GAP + 2 * MARGIN;
    let height = HEAD + curves.len().div_ceil(columns) * PITCH + MARGIN;
    let mut out = card(title, note, LINES, (width, height));
    for (nth, curve) in curves.iter().enumerate() {
        let left = MARGIN + nth % columns * (PANEL + GAP);
        draw(&mut out, curve, (left, HEAD + nth / columns * PITCH));
    }
    format!("{out}\n")
}

fn draw(out: &mut Document, curve: &Curve, (left, top): (usize, usize)) {
    let values: Vec<f64> = curve
        .points
        .iter()
        .filter_map(|point| Some(point.spread()?.median))
        .collect();
    let Some(scale) = Scale::of(curve, &values) else {
        return;
    };
    let bottom = top + TITLE + HEIGHT;
    text_at(out, "title", (left, top + 14), curve.axes.measured);
    line(out, "axis", (left, bottom), (left + PANEL, bottom));
    if let Some(goal) = scale.goal {
        let y = bottom - scale.height(goal);
        line(out, "goal", (left, y), (left + PANEL, y));
    }
    let mut path = Vec::new();
    for (point, &value) in curve.points.iter().zip(&values) {
        let (x, y) = (left + scale.x(point.at), bottom - scale.height(value));
        path.push(format!("{x},{y}"));
        let dot = Circle::new().set("class", "point");
        out.append(dot.set("cx", x).set("cy", y).set("r", 3));
        text_at(out, "middle", (x, y - 8), &figure(value));
        text_at(out, "note middle", (x, bottom + 14), &place(curve, point));
    }
    let path = Polyline::new().set("points", path.join(" "));
    out.append(path.set("class", "curve"));
    let middle = (left + PANEL / 2, bottom + 30);
    text_at(out, "note middle", middle, curve.axes.over);
}

/// From what is measured to the place in a panel.
struct Scale {
    first: f64,
    decades: f64,
    /// The values at the panel's bottom and top.
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Its value, if it is in the picture.
    goal: Option<f64>,
}

impl Scale {
    /// From zero; logarithmic where values lie more than twenty times apart.
    fn of(curve: &Curve, values: &[f64]) -> Option<Self> {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        let logarithmic = most > 20.0 * least;
        let goal = curve.axes.goal.map(|goal| goal * values[0]);
        let high = most.max(goal.unwrap_or(0.0));
        let (first, last) = (curve.points.first()?.at, curve.points.last()?.at);
        Some(Self {
            first: first as f64,
            decades: (last as f64 / first as f64).log10().max(f64::MIN_POSITIVE),
            low: if logarithmic { least / 1.5 } else { 0.0 },
            high,
            logarithmic,
            goal,
        })
    }

    fn x(&self, at: u64) -> usize {
        let part = (at as f64 / self.first).log10() / self.decades;
        INSET + (part * (PANEL - 2 * INSET) as f64).round() as usize
    }

    /// Above the axis.
    fn height(&self, value: f64) -> usize {
        let part = match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => value / self.high,
        };
        // Room for the figure above the highest point.
        (part * (HEIGHT - 18) as f64).round() as usize
    }
}

fn line(out: &mut Document, class: &str, from: (usize, usize), to: (usize, usize)) {
    let line = Line::new().set("class", class);
    let line = line.set("x1", from.0).set("y1", from.1);
    out.append(line.set("x2", to.0).set("y2", to.1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::growth::curve::Axes;

    #[test]
    fn a_decade_is_as_wide_as_the_next_and_the_goal_is_in_the_picture() {
        let axes = Axes {
            row: "row",
            measured: "CPU & more, µs",
            over: "connections",
            goal: Some(1.5),
        };
        let mut curve = Curve::new(axes, &[10, 100, 1_000]);
        (0..3).for_each(|nth| curve.add(nth, 2.0, false));
        let scale = Scale::of(&curve, &[2.0; 3]).unwrap();
        let [a, b, c] = [10, 100, 1_000].map(|at| scale.x(at));
        assert_eq!(b - a, c - b);
        assert!(scale.height(2.0) < scale.height(3.0));
        let svg = svg("growth", &[curve]);
        for text in ["CPU &amp; more, µs", "1,000", "class=\"goal\"", "2.00"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }
}
