//! The parts of `wsworker-suite`: it builds what is compared, runs all of it, and writes the results.
//! Measures nothing itself: rows, samples and loads are those of the other programs.

pub mod build;
pub mod chart;
pub mod charts;
pub mod contenders;
pub mod description;
pub mod report;
pub mod run;
