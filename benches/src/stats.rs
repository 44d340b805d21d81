//! Medians and paired ratios.
//! Does not know what is measured.

use serde::Serialize;

/// The middle of several values, and their ends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Some(Self { median, min, max })
    }

    /// The spread of `a / b`, each pair from the same repetition: what drifts with the machine's
    /// clock, its caches and its neighbours is in both and cancels out.
    pub fn of_ratios(a: &[f64], b: &[f64]) -> Option<Self> {
        Self::of(a.iter().zip(b).map(|(a, b)| a / b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_even_and_odd() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_paired() {
        let ratio = Spread::of_ratios(&[1.0, 10.0], &[2.0, 20.0]).unwrap();
        assert_eq!((ratio.min, ratio.max), (0.5, 0.5));
    }
}
