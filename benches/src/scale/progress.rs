//! A bar on standard error, or a line now and then where no bar is seen.
//! Measures nothing.

use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::suite::report::thousands;

/// How far one step of a run is. It is gone when this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    all: u64,
    told: Option<Instant>,
}

/// Where no bar is seen.
const LINES: Duration = Duration::from_secs(5);

impl Progress {
    /// Of `all` that come.
    pub(super) fn new(what: &'static str, all: u64) -> Result<Self> {
        let style = "{bar:30} {human_pos} of {human_len} {prefix}, {eta} left  {msg}";
        let bar = ProgressBar::new(all).with_prefix(what);
        bar.set_style(ProgressStyle::with_template(style)?);
        Ok(Self {
            bar,
            what,
            all,
            told: None,
        })
    }

    /// So many have come.
    pub(super) fn at(&mut self, count: u64, note: &str) {
        self.bar.set_position(count.min(self.all));
        self.bar.set_message(note.to_owned());
        let due = self.told.is_none_or(|told| told.elapsed() > LINES);
        if self.bar.is_hidden() && due {
            self.told = Some(Instant::now());
            let (count, all) = (thousands(count), thousands(self.all));
            eprintln!("{count} of {all} {}  {note}", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
