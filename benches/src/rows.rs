//! The loads that servers are compared under, each by its name.
//! Starts no server.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::load::Target;
use crate::load::echo::{self, Echo};
use crate::load::handshake::{self, Handshake};
use crate::load::latency::Latency;
use crate::load::room::{self, Room};
use crate::load::steady::{self, Until};

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, for `--rows` and the table.
    pub name: &'static str,
    /// What a server must be to stand in it.
    pub kind: Kind,
    /// `wsworker-compare` has it.
    pub compared: bool,
    /// `wsworker-suite --quick` has it.
    pub quick: bool,
    load: Load,
}

/// What a server does. The rows of each kind are a table of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sends a message back.
    Echo,
    /// Sends it to all other members of the one room.
    Room,
    /// Sends it back, by an object that all connections share.
    Object,
    /// Sends it back, over TLS.
    Tls,
    /// Sends it on to an echo, and the echo back.
    Proxy,
}

#[derive(Debug, Clone, Copy)]
enum Load {
    Echo {
        conns: usize,
        size: usize,
        depth: usize,
        text: bool,
    },
    Handshake {
        parallel: usize,
    },
    Room {
        receivers: usize,
        size: usize,
        depth: usize,
    },
}

/// What a load has shown of a server.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// The server's CPU time for each message. One that is delivered to many counts as many.
    pub cpu_us: f64,
    /// Messages a second.
    pub per_second: f64,
    /// Round trips, where one message is in flight on each connection.
    pub latency: Option<Latency>,
}

/// All rows, in the tables' order.
pub const ROWS: [Row; 25] = [
    Row::echo("20B-D1", 64, 20, 1).compared().quick(),
    Row::echo("20B-text-D1", 64, 20, 1).text(),
    Row::echo("20B-one-D1", 1, 20, 1),
    Row::echo("125B-D1", 200, 125, 1).compared(),
    Row::echo("125B-text-D1", 200, 125, 1).text(),
    Row::echo("125B-D16", 64, 125, 16).compared().quick(),
    Row::echo("125B-text-D16", 64, 125, 16).text(),
    // Few connections for the large rows: with many, the caches' misses hide the servers.
    Row::echo("16KiB-D1", 16, 16 * 1024, 1).compared().quick(),
    Row::echo("64KiB-D1", 16, 64 * 1024, 1).compared().quick(),
    Row::echo("1MiB-D1", 4, 1024 * 1024, 1),
    Row::new("handshake", Kind::Echo, Load::Handshake { parallel: 32 })
        .compared()
        .quick(),
    Row::room("room10-W1", 10, 1),
    Row::room("room10-W16", 10, 16),
    Row::room("room-W1", 1_000, 1).compared().quick(),
    Row::room("room-W16", 1_000, 16).compared().quick(),
    Row::room("room10k-W1", 10_000, 1),
    Row::room("room10k-W16", 10_000, 16),
    Row::echo("object-20B-D1", 64, 20, 1)
        .of(Kind::Object)
        .compared(),
    Row::echo("object-20B-D16", 64, 20, 16)
        .of(Kind::Object)
        .compared(),
    Row::echo("tls-20B-D1", 64, 20, 1).of(Kind::Tls).quick(),
    Row::echo("tls-125B-D16", 64, 125, 16).of(Kind::Tls),
    Row::echo("tls-16KiB-D1", 16, 16 * 1024, 1)
        .of(Kind::Tls)
        .quick(),
    Row::echo("proxy-20B-D1", 64, 20, 1).of(Kind::Proxy),
    Row::echo("proxy-125B-D16", 64, 125, 16).of(Kind::Proxy),
    Row::echo("proxy-16KiB-D1", 16, 16 * 1024, 1).of(Kind::Proxy),
];

/// The greatest number of connections that a row has.
pub const MOST_CONNS: usize = 10_001;

/// What a message of a room has in it.
const ROOM_SIZE: usize = 128;

impl Row {
    const fn new(name: &'static str, kind: Kind, load: Load) -> Self {
        Self {
            name,
            kind,
            compared: false,
            quick: false,
            load,
        }
    }

    const fn echo(name: &'static str, conns: usize, size: usize, depth: usize) -> Self {
        let load = Load::Echo {
            conns,
            size,
            depth,
            text: false,
        };
        Self::new(name, Kind::Echo, load)
    }

    const fn room(name: &'static str, receivers: usize, depth: usize) -> Self {
        let load = Load::Room {
            receivers,
            size: ROOM_SIZE,
            depth,
        };
        Self::new(name, Kind::Room, load)
    }

    const fn text(mut self) -> Self {
        if let Load::Echo { text, .. } = &mut self.load {
            *text = true;
        }
        self
    }

    const fn of(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    const fn compared(mut self) -> Self {
        self.compared = true;
        self
    }

    const fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    /// `wsworker-suite` has it: an object's echo is compared with a worker's alone.
    pub fn in_suite(&self) -> bool {
        self.kind != Kind::Object
    }

    /// What the row does, for the table.
    pub fn describe(&self) -> String {
        match self.load {
            Load::Echo {
                conns,
                size,
                depth,
                text,
            } => {
                let text = if text { " of text" } else { "" };
                let s = if conns == 1 { "" } else { "s" };
                let size = bytes(size);
                format!("{size}{text}, {depth} in flight, {conns} connection{s}")
            }
            Load::Handshake { parallel } => format!("connect, upgrade, close, {parallel} at once"),
            Load::Room {
                receivers,
                size,
                depth,
            } => format!("{}, {depth} in flight, to {receivers} members", bytes(size)),
        }
    }

    /// Puts the row's load on a server.
    pub fn measure(&self, target: Target, seconds: f64) -> Result<Measured> {
        /// A second's worth of handshakes, roughly.
        const HANDSHAKES: f64 = 8_000.0;
        const WARM_UP: Duration = Duration::from_millis(300);
        let (warm_up, until) = (WARM_UP, Until::Elapsed(Duration::from_secs_f64(seconds)));
        let report = match self.load {
            Load::Echo {
                conns,
                size,
                depth,
                text,
            } => echo::run(
                target,
                Echo {
                    conns,
                    size,
                    depth,
                    text,
                    warm_up,
                    until,
                },
            )?,
            Load::Room {
                receivers,
                size,
                depth,
            } => room::run(
                target,
                Room {
                    receivers,
                    size,
                    depth,
                    warm_up,
                    until,
                },
            )?,
            Load::Handshake { parallel } => {
                let count = (seconds * HANDSHAKES).ceil() as usize;
                let report = handshake::run(target, Handshake { count, parallel })?;
                return Ok(Measured {
                    cpu_us: report.cpu_us,
                    per_second: report.per_second,
                    latency: None,
                });
            }
        };
        Ok(report.into())
    }
}

impl From<steady::Report> for Measured {
    fn from(report: steady::Report) -> Self {
        Self {
            cpu_us: report.cpu_us,
            per_second: report.per_second,
            latency: report.latency,
        }
    }
}

/// As a reader wants it.
pub fn bytes(size: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;
    match size {
        _ if size > 0 && size.is_multiple_of(MIB) => format!("{} MiB", size / MIB),
        _ if size > 0 && size.is_multiple_of(KIB) => format!("{} KiB", size / KIB),
        _ => format!("{size} B"),
    }
}

/// Which of `names` are wanted: those in `wanted`, and for one that is no name, all that hold it. All
/// if nothing is wanted in particular.
pub fn choose<'a>(names: &[&'a str], wanted: &[String]) -> Result<Vec<&'a str>> {
    let exact = |wanted: &str| names.contains(&wanted);
    let matches = |name: &str, wanted: &str| match exact(wanted) {
        true => name == wanted,
        false => name.contains(wanted),
    };
    for wanted in wanted {
        if !names.iter().any(|name| matches(name, wanted)) {
            bail!("nothing is named '{wanted}'; expected some of {names:?}");
        }
    }
    let chosen =
        |name: &&&str| wanted.is_empty() || wanted.iter().any(|wanted| matches(name, wanted));
    Ok(names.iter().filter(chosen).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_is_meant_alone_and_a_part_by_all_that_hold_it() {
        let names = ["room-W1", "room-W16", "handshake"];
        let chosen = |wanted: &str| choose(&names, &[wanted.to_owned()]);
        assert_eq!(chosen("room-W1").unwrap(), ["room-W1"]);
        assert_eq!(chosen("room").unwrap(), ["room-W1", "room-W16"]);
        assert!(chosen("rooms").is_err());
        assert_eq!(choose(&names, &[]).unwrap(), names);
    }

    #[test]
    fn rows_of_a_kind_stand_together_and_names_are_told_apart() {
        let kinds = ROWS.chunk_by(|a, b| a.kind == b.kind).count();
        assert_eq!(kinds, 5);
        for (nth, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..nth].iter().all(|other| other.name != row.name));
        }
    }
}
