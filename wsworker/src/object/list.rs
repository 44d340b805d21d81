//! Which of an object's keys a list gives: options, and the range that they say.
//! Does not read anything.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::error::{Error, Result};
use crate::storage::{Key, Range};

/// Which keys [`ObjectStorage::list`](super::ObjectStorage::list) gives: all, from the first, if
/// nothing is said.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    prefix: Option<Vec<u8>>,
    start: Option<Vec<u8>>,
    start_after: Option<Vec<u8>>,
    end: Option<Vec<u8>>,
    reverse: bool,
    limit: Option<usize>,
}

impl ListOptions {
    /// All keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keys that begin so.
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.prefix = Some(prefix.as_ref().to_vec());
        self
    }

    /// Keys from this one on.
    pub fn start(mut self, key: impl AsRef<[u8]>) -> Self {
        self.start = Some(key.as_ref().to_vec());
        self
    }

    /// Keys after this one; not together with [`start`](Self::start).
    pub fn start_after(mut self, key: impl AsRef<[u8]>) -> Self {
        self.start_after = Some(key.as_ref().to_vec());
        self
    }

    /// Keys before this one.
    pub fn end(mut self, key: impl AsRef<[u8]>) -> Self {
        self.end = Some(key.as_ref().to_vec());
        self
    }

    /// From the last to the first.
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most so many, at least 1.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    pub(super) fn range(self) -> Result<Range> {
        if self.start.is_some() && self.start_after.is_some() {
            let message = "list takes `start` or `start_after`, got both";
            return Err(Error::invalid(message));
        }
        if self.limit == Some(0) {
            return Err(Error::invalid("list takes a limit of 1 or more, got 0"));
        }
        let mut starts = vec![Bound::Unbounded];
        starts.extend(self.start.map(|key| Bound::Included(Key::from(key))));
        starts.extend(self.start_after.map(|key| Bound::Excluded(Key::from(key))));
        let mut ends = vec![Bound::Unbounded];
        ends.extend(self.end.map(|key| Bound::Excluded(Key::from(key))));
        if let Some(prefix) = self.prefix {
            ends.extend(after_prefix(&prefix).map(|key| Bound::Excluded(Key::from(key))));
            starts.push(Bound::Included(prefix.into()));
        }
        Ok(Range {
            start: starts
                .into_iter()
                .max_by(later_start)
                .unwrap_or(Bound::Unbounded),
            end: ends
                .into_iter()
                .min_by(earlier_end)
                .unwrap_or(Bound::Unbounded),
            reverse: self.reverse,
            limit: self.limit.unwrap_or(usize::MAX),
        })
    }
}

/// The first key after all that begin so; none if there can be none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < 0xff)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

fn later_start(one: &Bound<Key>, other: &Bound<Key>) -> Ordering {
    rank(one, false).cmp(&rank(other, false))
}

fn earlier_end(one: &Bound<Key>, other: &Bound<Key>) -> Ordering {
    rank(one, true).cmp(&rank(other, true))
}

/// Bounds in their order: an unbounded one is before all, or after all at the end.
fn rank(bound: &Bound<Key>, at_end: bool) -> (u8, Option<&Key>, bool) {
    match bound {
        Bound::Unbounded => (if at_end { 2 } else { 0 }, None, false),
        Bound::Included(key) => (1, Some(key), at_end),
        Bound::Excluded(key) => (1, Some(key), !at_end),
    }
}
