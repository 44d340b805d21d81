//! A curve: what one thing costs at several numbers of another, and how far that rises.
//! Does not measure.

use serde::Serialize;

use crate::stats::Spread;

/// What is on a curve's axes, and what is wanted of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Axes {
    /// The row that it belongs to, for `--rows`.
    pub row: &'static str,
    /// What is measured, with its unit.
    pub measured: &'static str,
    /// What grows.
    pub over: &'static str,
    /// No point shall be more than this times the first.
    pub goal: Option<f64>,
}

/// The samples of one number.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// How many.
    pub at: u64,
    /// One of each repetition.
    pub samples: Vec<f64>,
    /// A sample was taken while something else was running.
    pub disturbed: bool,
}

/// A curve.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// What it shows.
    #[serde(flatten)]
    pub axes: Axes,
    /// From the least to the most.
    pub points: Vec<Point>,
}

impl Curve {
    /// With nothing measured yet.
    pub fn new(axes: Axes, at: &[u64]) -> Self {
        let point = |&at| Point {
            at,
            samples: Vec::new(),
            disturbed: false,
        };
        Self {
            axes,
            points: at.iter().map(point).collect(),
        }
    }

    /// One more sample of the point `nth`.
    pub fn add(&mut self, nth: usize, value: f64, disturbed: bool) {
        let point = &mut self.points[nth];
        point.samples.push(value);
        point.disturbed |= disturbed;
    }

    /// The same samples by another measure.
    pub fn by(&self, axes: Axes, value: impl Fn(f64, u64) -> f64) -> Self {
        let mut curve = self.clone();
        curve.axes = axes;
        for point in &mut curve.points {
            let at = point.at;
            point.samples.iter_mut().for_each(|v| *v = value(*v, at));
        }
        curve
    }

    /// Each point's ratio to the first, paired within a repetition.
    pub fn ratios(&self) -> Vec<Spread> {
        let Some(first) = self.points.first() else {
            return Vec::new();
        };
        let ratio = |point: &Point| Spread::of_ratios(&point.samples, &first.samples);
        self.points.iter().filter_map(ratio).collect()
    }

    /// Whether no point is further above the first than the goal allows; `None` without a goal.
    pub fn is_within(&self) -> Option<bool> {
        let goal = self.axes.goal?;
        Some(self.ratios().iter().all(|ratio| ratio.median <= goal))
    }
}

impl Point {
    /// Of its samples.
    pub fn spread(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXES: Axes = Axes {
        row: "row",
        measured: "µs",
        over: "things",
        goal: Some(1.5),
    };

    #[test]
    fn a_goal_is_missed_by_any_point_and_not_by_the_last_alone() {
        let mut curve = Curve::new(AXES, &[1, 10, 100]);
        for (nth, value) in [2.0, 3.2, 2.0].into_iter().enumerate() {
            curve.add(nth, value, false);
        }
        assert_eq!(curve.is_within(), Some(false));
        curve.points[1].samples = vec![3.0];
        assert_eq!(curve.is_within(), Some(true));
        curve.axes.goal = None;
        assert_eq!(curve.is_within(), None);
    }

    #[test]
    fn ratios_are_of_one_repetition() {
        let mut curve = Curve::new(AXES, &[1, 10]);
        for (first, last) in [(1.0, 2.0), (10.0, 20.0)] {
            curve.add(0, first, false);
            curve.add(1, last, false);
        }
        let last = curve.ratios()[1];
        assert_eq!((last.min, last.max), (2.0, 2.0));
    }
}
