//! What things cost as their number grows: curves, each with a goal for how far it may rise.
//! Measures wsworker alone: peers are in the suite.

pub mod chart;
pub mod cores;
pub mod curve;
pub mod loads;
pub mod objects;
pub mod report;
