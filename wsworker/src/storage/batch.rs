//! What objects' state is made of, as a backend sees it.
//! Does no I/O and encodes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

/// A key: any bytes, ordered as such. `object` limits their size.
pub type Key = Bytes;

/// Which object: its class's stable name and its id.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The class's stable name.
    pub class: Arc<str>,
    /// 256 bits.
    pub id: [u8; 32],
}

/// When an object is to be called, and how often that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// How many tries have failed.
    pub retries: u32,
}

/// What a commit does to the object's alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmChange {
    /// Sets it, over an earlier one.
    Set(Alarm),
    /// Takes it away, if there is one.
    Delete,
}

/// What one commit stores for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Every key that is there goes first. The alarm stays.
    pub clear: bool,
    /// Keys with their new values; `None` deletes.
    pub writes: BTreeMap<Key, Option<Bytes>>,
    /// `None` leaves the alarm as it is.
    pub alarm: Option<AlarmChange>,
}

/// A batch, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whose state it changes.
    pub object: ObjectKey,
    /// How. Shared with the object, which reads what is on its way.
    pub batch: Arc<Batch>,
}

/// A part of an object's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first key, from below.
    pub start: Bound<Key>,
    /// The last key, from below.
    pub end: Bound<Key>,
    /// From the last to the first.
    pub reverse: bool,
    /// At most so many.
    pub limit: usize,
}

impl Batch {
    /// Does it do nothing?
    pub fn is_empty(&self) -> bool {
        !self.clear && self.writes.is_empty() && self.alarm.is_none()
    }

    /// One that changes the alarm and nothing else.
    pub(crate) fn of_alarm(change: AlarmChange) -> Self {
        Self {
            alarm: Some(change),
            ..Self::default()
        }
    }

    /// How many bytes its keys and values have.
    pub(crate) fn bytes(&self) -> usize {
        let writes = self.writes.iter();
        let sizes = writes.map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len));
        sizes.sum()
    }

    /// Adds what is done after it: both become one commit.
    pub fn merge(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        if later.clear {
            self.clear = true;
            self.writes.clear();
        }
        self.writes.extend(later.writes);
        self.alarm = later.alarm.or(self.alarm);
    }
}

impl Range {
    /// Every key, from the first.
    pub const ALL: Self = Self {
        start: Bound::Unbounded,
        end: Bound::Unbounded,
        reverse: false,
        limit: usize::MAX,
    };

    /// Can no key be in it? Such bounds make `BTreeMap::range` panic.
    pub fn is_empty(&self) -> bool {
        use Bound::{Excluded, Included};
        match (&self.start, &self.end) {
            (Included(start), Included(end)) => start > end,
            (Included(start) | Excluded(start), Included(end) | Excluded(end)) => start >= end,
            _ => false,
        }
    }
}

/// The class and the id in hexadecimal digits.
impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.class)?;
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
