//! Durable increments of Durable Objects, in turns with a bare loop that puts the same rows into SQLite.
//! Measures this machine's disk above all: the ratio counts.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::bare::{Bare, Rows};
use crate::load::increments::{Generator, Increments};
use crate::machine;
use crate::server::Recipe;
use crate::stats::Spread;

/// Who counts, and how many rows the bare loop puts into a transaction.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counting {
    /// Connections.
    pub conns: usize,
    /// Counters, each an object.
    pub counters: usize,
    /// Increments in flight on each connection.
    pub depth: usize,
    /// Rows of a transaction of the bare loop.
    pub group: usize,
}

/// All of them.
pub const COUNTINGS: [Counting; 3] = [
    // While one group is being committed the next one gathers: half of what is in flight each.
    counting(64, 1_000, 16, 512),
    counting(1, 1, 1, 1),
    counting(64, 1, 1, 1),
];

const fn counting(conns: usize, counters: usize, depth: usize, group: usize) -> Counting {
    Counting {
        conns,
        counters,
        depth,
        group,
    }
}

/// How long, how often, and where.
#[derive(Debug, Clone, Copy)]
pub struct Turns<'a> {
    /// How long each of the two runs, in each repetition.
    pub seconds: f64,
    /// How often the two take turns.
    pub repetitions: usize,
    /// Where the databases go: a disk's file system.
    pub directory: &'a Path,
}

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Report {
    /// Who counted.
    #[serde(flatten)]
    pub counting: Counting,
    /// Increments a second.
    pub ours: Spread,
    /// Rows a second of the bare loop.
    pub bare: Spread,
    /// The one over the other, of each repetition.
    pub ratio: Spread,
}

/// Counts on a fresh server, and in a fresh database beside it. Both have all cores.
pub fn measure(counter: &Recipe, counting: Counting, turns: Turns) -> Result<Report> {
    let Counting {
        conns,
        counters,
        depth,
        group,
    } = counting;
    machine::unpin()?;
    let server = counter.clone().in_directory(turns.directory).unpinned();
    let server = server.start()?;
    let increments = Increments {
        conns,
        counters,
        depth,
    };
    let mut generator = Generator::connect(server.target(), increments)?;

    let directory = tempfile::tempdir_in(turns.directory)?;
    let mut database = Bare::open(&directory.path().join("bare.db"))?;
    let rows = Rows {
        objects: counters,
        keys: 1,
        size: 8,
    };

    let time = Duration::from_secs_f64(turns.seconds);
    // Each row and object is there before anything is measured.
    database.run(group, rows, time)?;
    generator.run(time)?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..turns.repetitions {
        bare.push(database.run(group, rows, time)?);
        ours.push(generator.run(time)?);
    }
    let ratio = Spread::of_ratios(&ours, &bare);
    let spread = |rates| Spread::of(rates).context("no repetition");
    Ok(Report {
        counting,
        ours: spread(ours)?,
        bare: spread(bare)?,
        ratio: ratio.context("no repetition")?,
    })
}
