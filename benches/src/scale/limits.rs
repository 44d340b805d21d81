//! What the machine allows, and how many processes it takes to get there.
//! Reads, and raises this process's own limit of descriptors; starts nothing.

use std::fs;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::machine;

/// Limits that are known beforehand. Memory's is met on the way.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    /// Descriptors of a process: `RLIMIT_NOFILE`.
    pub process_files: u64,
    /// Descriptors of all processes: `fs.file-max`.
    pub machine_files: u64,
    /// How many of these are in use.
    pub files_in_use: u64,
    /// Cores for this process.
    pub cores: usize,
}

/// Processes, and the sockets of each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Sockets in all.
    pub sockets: usize,
    /// Server processes.
    pub servers: usize,
    /// Sockets of each load. Loads take their turns over the servers.
    pub loads: Vec<usize>,
    /// Which limit allows no more, if more were wanted.
    pub limited: Option<String>,
}

/// What a server has open beside its connections, with room to spare.
const OTHER_FILES: u64 = 100;
/// What the programs have open together beside the sockets, with room to spare, and others.
const OTHER_MACHINE_FILES: u64 = 20_000;
/// More server processes are more load on the memory than sockets.
const MOST_PROCESSES: usize = 128;

impl Limits {
    /// Of this machine, for so many sockets; the soft limit of descriptors is raised as far as it goes.
    pub fn read(sockets: usize) -> Result<Self> {
        let number = |path: &str, nth: usize| -> Result<u64> {
            let text = fs::read_to_string(path)?;
            let field = text.split_whitespace().nth(nth);
            field
                .and_then(|field| field.parse().ok())
                .with_context(|| format!("{path} has no field {nth}"))
        };
        Ok(Self {
            process_files: machine::most_open_files(sockets as u64 + OTHER_FILES)?,
            machine_files: number("/proc/sys/fs/file-max", 0)?,
            files_in_use: number("/proc/sys/fs/file-nr", 0)?,
            cores: std::thread::available_parallelism()?.get(),
        })
    }

    /// How to hold `wanted` sockets in rooms of `room`, or as many as there may be.
    pub fn plan(&self, wanted: usize, room: usize) -> Result<Plan> {
        ensure!(wanted > 0 && room > 0, "a room needs a member");
        let process = self.process_files.saturating_sub(OTHER_FILES) as usize / room * room;
        ensure!(
            process > 0,
            "a room of {room} does not fit into a process, which may have {} descriptors",
            self.process_files
        );
        let free = self.machine_files.saturating_sub(self.files_in_use);
        // Both ends are here.
        let machine = (free.saturating_sub(OTHER_MACHINE_FILES) / 2) as usize;
        // This program has three descriptors for a load and its server.
        let servers = self.process_files.saturating_sub(OTHER_FILES) / 3;
        let servers = usize::try_from(servers)?.min(MOST_PROCESSES);
        let all = process.saturating_mul(servers);
        let sockets = wanted.min(machine).min(all);
        let limited = (sockets < wanted).then(|| {
            if machine < all {
                format!(
                    "fs.file-max is {}, and {} are in use: both ends of {machine} sockets fit in, \
                     {wanted} were wanted",
                    self.machine_files, self.files_in_use
                )
            } else {
                format!(
                    "a process may have {} descriptors (RLIMIT_NOFILE): {servers} servers hold \
                     {all} sockets, {wanted} were wanted",
                    self.process_files
                )
            }
        });
        ensure!(
            sockets > 0,
            "no socket can be opened: {}",
            limited.unwrap_or_default()
        );
        let servers = sockets.div_ceil(process);
        // A load is one thread; half of the cores are for the servers.
        let loads = servers * (self.cores / 2).div_ceil(servers).max(1);
        Ok(Plan {
            sockets,
            servers,
            loads: shares(sockets, room, loads),
            limited,
        })
    }
}

/// Whole rooms, as even as they go; the last room may have fewer members.
fn shares(sockets: usize, room: usize, loads: usize) -> Vec<usize> {
    let rooms = sockets.div_ceil(room);
    let first = |load: usize| (rooms * load / loads * room).min(sockets);
    (0..loads)
        .map(|load| first(load + 1) - first(load))
        .filter(|share| *share > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        process_files: 20_000,
        machine_files: 2_466_177,
        files_in_use: 850,
        cores: 2,
    };

    #[test]
    fn one_server_is_enough_where_a_process_may_have_all() {
        let limits = Limits {
            process_files: 1_100_000,
            ..LIMITS
        };
        let plan = limits.plan(1_000_000, 100).unwrap();
        assert_eq!((plan.servers, plan.loads), (1, vec![1_000_000]));
        let limits = Limits { cores: 8, ..limits };
        let plan = limits.plan(1_000_000, 100).unwrap();
        assert_eq!((plan.servers, plan.loads), (1, vec![250_000; 4]));
    }

    #[test]
    fn more_servers_are_used_where_a_process_may_have_few() {
        let plan = LIMITS.plan(1_000_000, 100).unwrap();
        assert_eq!((plan.servers, plan.loads.len()), (51, 51));
        assert_eq!(plan.loads.iter().sum::<usize>(), 1_000_000);
        assert!(plan.loads.iter().all(|n| *n <= 19_900 && n % 100 == 0));
        assert_eq!(plan.limited, None);
    }

    #[test]
    fn a_limit_that_is_met_is_told() {
        let limits = Limits {
            machine_files: 400_000,
            ..LIMITS
        };
        let plan = limits.plan(1_000_000, 100).unwrap();
        assert_eq!(plan.sockets, 189_575);
        assert!(plan.limited.unwrap().contains("fs.file-max is 400000"));
        let limits = Limits {
            process_files: 1024,
            ..LIMITS
        };
        let plan = limits.plan(1_000_000, 100).unwrap();
        assert_eq!((plan.sockets, plan.servers), (115_200, 128));
        assert!(plan.limited.unwrap().contains("RLIMIT_NOFILE"));
        assert!(limits.plan(1_000_000, 1000).is_err());
        let limits = Limits {
            process_files: 256,
            ..LIMITS
        };
        let plan = limits.plan(1_000_000, 100).unwrap();
        assert_eq!((plan.sockets, plan.servers), (5_200, 52));
    }

    #[test]
    fn the_last_room_may_be_small() {
        assert_eq!(shares(250, 100, 2), [100, 150]);
        assert_eq!(shares(30, 100, 2), [30]);
    }
}
