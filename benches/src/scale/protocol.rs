//! What the program and its loads say to each other: a line of JSON each.
//! Does not read or write them.

use serde::{Deserialize, Serialize};

/// To a load.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Open no more sockets than are under way.
    Stop,
    /// Send into random rooms.
    Messages(Messages),
    /// From now on a Close is what is waited for.
    ExpectClose,
}

/// How a load sends messages.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Messages {
    /// At which pace.
    pub pace: Pace,
    /// Length of the time in which messages are sent.
    pub seconds: f64,
    /// Picks rooms and members.
    pub seed: u64,
}

/// When the next message is sent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// One after each interval, whatever became of those before.
    Every {
        /// Seconds between two.
        interval: f64,
        /// Seconds before the first.
        offset: f64,
    },
    /// As soon as a room has got the one before: so many rooms at a time.
    InFlight(usize),
}

/// From a load, in this order; `Failed` at any time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// So many sockets are open so far.
    Open(u64),
    /// It opens no more.
    Opened(Opened),
    /// All messages have come.
    Heard(Heard),
    /// It waits for Closes.
    Expecting,
    /// So many Closes have come so far.
    Closing(u64),
    /// All sockets have ended.
    Closed(Closed),
    /// It cannot go on.
    Failed(String),
}

/// How opening has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened {
    /// Sockets that are open.
    pub open: u64,
    /// What stopped it, if not the end or a command.
    pub failed: Option<String>,
}

/// What became of messages. Each was compared, and none is missing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Heard {
    /// Messages sent.
    pub messages: u64,
    /// Messages received: each counts once for each member of its room.
    pub deliveries: u64,
    /// From the first that was sent to the last that came.
    pub seconds: f64,
    /// From a send until a member has it: ns, and how many took so long.
    pub delivery: Vec<(u64, u64)>,
    /// From a send until all members have it: the same.
    pub whole: Vec<(u64, u64)>,
    /// From when a message was due until it was sent: the same.
    pub lateness: Vec<(u64, u64)>,
}

/// How the sockets ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// With a Close 1001 that was answered, and then the end of the TCP connection.
    pub going_away: u64,
    /// With a Close of another code, or none.
    pub other_code: u64,
    /// Without a Close.
    pub without: u64,
    /// With a Close, and then a reset.
    pub reset: u64,
    /// Pings that were answered while the sockets were open.
    pub pings: u64,
}

impl Closed {
    /// Sockets that have ended.
    pub fn all(&self) -> u64 {
        self.going_away + self.other_code + self.without + self.reset
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            going_away: self.going_away + other.going_away,
            other_code: self.other_code + other.other_code,
            without: self.without + other.without,
            reset: self.reset + other.reset,
            pings: self.pings + other.pings,
        }
    }
}
