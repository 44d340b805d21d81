//! Bars beside each other as an SVG, in panels; readable on light and on dark.
//! Does not know what is shown.

use svg::Document;
use svg::node::Node as _;
use svg::node::element::{Rectangle, Style, Text, Title};

/// A chart's text and its panels.
#[derive(Debug)]
pub struct Chart {
    /// What is shown.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// In reading order.
    pub panels: Vec<Panel>,
    /// May bars that are far longer than most be cut, which shows, so that the others can be told
    /// apart? Where less is better.
    pub cuts: bool,
}

/// Bars that are compared with each other.
#[derive(Debug)]
pub struct Panel {
    /// What they have in common.
    pub title: String,
    /// From above to below.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Debug)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Its length; all bars of a panel have one scale.
    pub value: f64,
    /// A second length behind it, in a lighter colour.
    pub further: Option<f64>,
    /// The figures, at the right.
    pub text: String,
    /// In a colour of its own.
    pub highlighted: bool,
}

const STYLE: &str = "
text { font: 11px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
.head { font-size: 16px; font-weight: 600 } .title { font-size: 10.5px; font-weight: 600 }
.note { fill: #59636e } .end { text-anchor: end }
.card { fill: #ffffff; stroke: #d1d9e0 }
.cut { fill: #ffffff } .bar { fill: #818b98 } .ours { fill: #0969da; font-weight: 600 } .further { opacity: .35 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .note { fill: #9198a1 }
.card { fill: #0d1117; stroke: #3d444d } .cut { fill: #0d1117 }
.bar { fill: #7d8590 } .ours { fill: #4493f8 }
}
";

pub(crate) const MARGIN: usize = 16;
/// Above the panels.
pub(crate) const HEAD: usize = 56;
/// Between panels.
pub(crate) const GAP: usize = 24;
/// Above what a panel shows.
pub(crate) const TITLE: usize = 22;
const COLUMNS: usize = 3;
const PANEL: usize = 330;
const PITCH: usize = 17;
const BAR: usize = 11;
/// A cut bar's gap, and what follows it.
const CUT: usize = 4;
/// So many times the middle one a bar may be long.
const LONGEST: f64 = 3.0;
/// A character's width, about: there is no font to ask.
const CHARACTER: usize = 6;

impl Chart {
    /// The picture.
    pub fn svg(&self) -> String {
        let columns = self.panels.len().clamp(1, COLUMNS);
        let note = self.whole_note();
        let text = note.chars().count().max(self.title.chars().count());
        let panels = columns * PANEL + (columns - 1) * GAP;
        let width = panels.max(text * CHARACTER) + 2 * MARGIN;
        let heights: usize = self.panels.chunks(columns).map(height).sum();
        let height_of_all = HEAD + heights + MARGIN - GAP;
        let mut out = card(&self.title, &note, "", (width, height_of_all));
        let mut y = HEAD;
        for panels in self.panels.chunks(columns) {
            for (nth, panel) in panels.iter().enumerate() {
                let at = (MARGIN + nth * (PANEL + GAP), y);
                panel.draw(&mut out, at, self.cuts);
            }
            y += height(panels);
        }
        format!("{out}\n")
    }

    fn whole_note(&self) -> String {
        let is_cut = |panel: &Panel| {
            let most = panel.most(self.cuts);
            panel.bars.iter().any(|bar| bar.whole() > most)
        };
        match self.panels.iter().any(is_cut) {
            true => format!("{} A bar with a gap is cut: its figure counts.", self.note),
            false => self.note.clone(),
        }
    }
}

impl Panel {
    fn draw(&self, out: &mut Document, (x, y): (usize, usize), cuts: bool) {
        let widest = |text: fn(&Bar) -> &str| {
            let characters = self.bars.iter().map(|bar| text(bar).chars().count());
            (characters.max().unwrap_or(0) + 3) * CHARACTER
        };
        let (labels, figures) = (widest(|bar| &bar.label), widest(|bar| &bar.text));
        let longest = PANEL.saturating_sub(labels + figures);
        let most = self.most(cuts);
        let length = |value: f64| {
            let part = (value / most).min(1.0);
            ((part * longest as f64).round() as usize).max(1)
        };

        text_at(out, "title", (x, y + 14), &self.title);
        for (nth, bar) in self.bars.iter().enumerate() {
            let y = y + TITLE + nth * PITCH;
            let (bottom, from) = (y + BAR - 1, x + labels);
            let class = |kind: &str| match bar.highlighted {
                true => format!("{kind} ours"),
                false => kind.to_owned(),
            };
            text_at(out, &class("end"), (from - CHARACTER, bottom), &bar.label);
            if let Some(further) = bar.further {
                rectangle(
                    out,
                    &class("bar further"),
                    (from, y),
                    (length(further), BAR),
                );
            }
            rectangle(out, &class("bar"), (from, y), (length(bar.value), BAR));
            if bar.whole() > most {
                let gap = (from + longest).saturating_sub(3 * CUT);
                rectangle(out, "cut", (gap, y), (CUT, BAR));
            }
            text_at(out, &class("end"), (x + PANEL, bottom), &bar.text);
        }
    }
}

impl Panel {
    /// What the longest bar stands for.
    fn most(&self, cuts: bool) -> f64 {
        let mut values: Vec<_> = self.bars.iter().map(Bar::whole).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.get(values.len() / 2).copied().unwrap_or(0.0);
        let most = values.last().copied().unwrap_or(0.0);
        let most = match cuts {
            true => most.min(LONGEST * middle),
            false => most,
        };
        most.max(f64::MIN_POSITIVE)
    }
}

impl Bar {
    fn whole(&self) -> f64 {
        self.further.unwrap_or(self.value)
    }
}

/// A picture with its head, and room below. `style` is added to that of all.
pub(crate) fn card(title: &str, note: &str, style: &str, size: (usize, usize)) -> Document {
    let mut out = Document::new()
        .set("role", "img")
        .set("viewBox", (0, 0, size.0, size.1))
        .set("width", size.0)
        .set("height", size.1);
    out.append(Title::new(title));
    out.append(Style::new(format!("{STYLE}{style}")));
    rectangle(&mut out, "card", (0, 0), size);
    text_at(&mut out, "head", (MARGIN, 28), title);
    text_at(&mut out, "note", (MARGIN, 46), note);
    out
}

/// Of panels beside each other.
fn height(panels: &[Panel]) -> usize {
    let bars = panels.iter().map(|panel| panel.bars.len()).max();
    TITLE + bars.unwrap_or(0) * PITCH + GAP
}

fn rectangle(out: &mut Document, class: &str, at: (usize, usize), size: (usize, usize)) {
    let rectangle = Rectangle::new()
        .set("class", class)
        .set("x", at.0)
        .set("y", at.1)
        .set("width", size.0)
        .set("height", size.1)
        .set("rx", 2);
    out.append(rectangle);
}

pub(crate) fn text_at(out: &mut Document, class: &str, at: (usize, usize), text: &str) {
    let text = Text::new(text)
        .set("class", class)
        .set("x", at.0)
        .set("y", at.1);
    out.append(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar {
            label: label.to_owned(),
            value,
            further: None,
            text: format!("{value} µs"),
            highlighted: label == "ours",
        }
    }

    #[test]
    fn bars_have_their_labels_figures_and_lengths() {
        let chart = Chart {
            title: "CPU & more".to_owned(),
            note: "less is better".to_owned(),
            panels: vec![Panel {
                title: "a row".to_owned(),
                bars: vec![bar("ours", 2.0), bar("theirs", 4.0)],
            }],
            cuts: true,
        };
        let svg = chart.svg();
        for text in [
            "CPU &amp; more",
            "less is better",
            "a row",
            "theirs",
            "4 µs",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        let width = |class: &str| {
            let line = svg
                .lines()
                .find(|l| l.contains("<rect") && l.contains(class));
            let (_, width) = line.unwrap().split_once("width=\"").unwrap();
            width.split_once('"').unwrap().0.parse::<usize>().unwrap()
        };
        let (ours, theirs) = (width("\"bar ours\""), width("\"bar\""));
        assert_eq!(ours, theirs.div_ceil(2));
    }

    #[test]
    fn a_bar_far_longer_than_most_is_cut_where_that_is_allowed() {
        let values = [1.0, 2.0, 100.0];
        let bars = values.map(|value| bar("theirs", value)).into();
        let title = "a row".to_owned();
        let mut chart = Chart {
            title: "CPU".to_owned(),
            note: "less is better".to_owned(),
            panels: vec![Panel { title, bars }],
            cuts: false,
        };
        let gaps = |chart: &Chart| chart.svg().matches("class=\"cut\"").count();
        assert_eq!((chart.panels[0].most(false), gaps(&chart)), (100.0, 0));
        chart.cuts = true;
        assert_eq!((chart.panels[0].most(true), gaps(&chart)), (6.0, 1));
        assert!(chart.svg().contains("100 µs"), "its figure is whole");
    }
}
