//! What sockets take of the machine: of user space by process, of the kernel in all.
//! Reads only. What the kernel holds cannot be told by process: it is of both ends.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::process;

/// A reading of the machine.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Reading {
    /// Anonymous memory of the servers, in bytes.
    pub servers: u64,
    /// Of the loads.
    pub loads: u64,
    /// CPU time of the servers, in seconds.
    pub servers_cpu: f64,
    /// Of the loads.
    pub loads_cpu: f64,
    /// The kernel's.
    pub kernel: Kernel,
}

/// What the kernel holds, in bytes if nothing else is said.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Kernel {
    /// Memory that new programs could have: [`available`].
    pub available: u64,
    /// The kernel's objects: sockets, files, and what else it has.
    pub slab: u64,
    /// The part of them that it cannot give back.
    pub slab_unreclaimable: u64,
    /// Tables of pages.
    pub page_tables: u64,
    /// What is allocated in pages of virtual memory, such as tables of descriptors.
    pub vmalloc: u64,
    /// What lies in TCP sockets' buffers.
    pub tcp_buffers: u64,
    /// TCP sockets, a number.
    pub tcp_sockets: u64,
    /// Descriptors in use, a number.
    pub descriptors: u64,
}

impl Reading {
    /// Of these processes and the kernel, now.
    pub fn take(servers: &[u32], loads: &[u32]) -> Result<Self> {
        let cpu = |pids: &[u32]| -> Result<f64> {
            let times = pids.iter().map(|pid| process::times(*pid));
            let times = times.map(|times| times.map(|(user, system)| user + system));
            Ok(times.sum::<Result<Duration>>()?.as_secs_f64())
        };
        Ok(Self {
            servers: anonymous(servers)?,
            loads: anonymous(loads)?,
            servers_cpu: cpu(servers)?,
            loads_cpu: cpu(loads)?,
            kernel: Kernel::read()?,
        })
    }
}

impl Kernel {
    /// As it is now.
    pub fn read() -> Result<Self> {
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let sockstat = fs::read_to_string("/proc/net/sockstat")?;
        let file_nr = fs::read_to_string("/proc/sys/fs/file-nr")?;
        let bytes = |name| field(&meminfo, name).map(|kib| kib * 1024);
        let page = rustix::param::page_size() as u64;
        Ok(Self {
            available: available_by(&meminfo)?,
            slab: bytes("Slab:")?,
            slab_unreclaimable: bytes("SUnreclaim:")?,
            page_tables: bytes("PageTables:")?,
            vmalloc: bytes("VmallocUsed:")?,
            tcp_buffers: field(&sockstat, "TCP: mem")? * page,
            tcp_sockets: field(&sockstat, "TCP: alloc")?,
            descriptors: field(&file_nr, "")?,
        })
    }
}

/// Memory that new programs could have, in bytes.
///
/// Less than what the kernel takes for available: that has the inodes and directory entries in it, of which
/// each open socket holds one, so that they are not to be had.
pub fn available() -> Result<u64> {
    available_by(&fs::read_to_string("/proc/meminfo")?)
}

fn available_by(meminfo: &str) -> Result<u64> {
    let (available, objects) = (
        field(meminfo, "MemAvailable:")?,
        field(meminfo, "SReclaimable:")?,
    );
    Ok(available.saturating_sub(objects) * 1024)
}

/// Private memory of all of them: heaps and stacks.
fn anonymous(pids: &[u32]) -> Result<u64> {
    let one = |pid: &u32| -> Result<u64> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let rollup = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        Ok(field(&rollup, "Anonymous:")? * 1024)
    };
    pids.iter().map(one).sum()
}

/// The number after a name. A name of two words is a line's beginning and a word of that line.
fn field(text: &str, name: &str) -> Result<u64> {
    let (start, word) = name.split_once(' ').unwrap_or((name, ""));
    let line = text.lines().find_map(|line| line.strip_prefix(start));
    let mut words = line.into_iter().flat_map(str::split_whitespace);
    if !word.is_empty() {
        words.by_ref().find(|found| *found == word);
    }
    let value = words.next().and_then(|value| value.parse().ok());
    value.with_context(|| format!("no field '{name}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_line_and_word() {
        let meminfo = "MemFree:  7 kB\nSlab:            719652 kB\n";
        assert_eq!(field(meminfo, "Slab:").unwrap(), 719_652);
        assert!(field(meminfo, "SUnreclaim:").is_err());
        let sockstat =
            "sockets: used 26\nTCP: inuse 5 orphan 0 tw 450 alloc 6 mem 3\nUDP: inuse 0 mem 9\n";
        assert_eq!(field(sockstat, "TCP: mem").unwrap(), 3);
        assert_eq!(field(sockstat, "TCP: alloc").unwrap(), 6);
        assert!(field(sockstat, "UDP: alloc").is_err());
        assert_eq!(field("850\t0\t2466177\n", "").unwrap(), 850);
    }

    #[test]
    fn what_sockets_hold_is_not_available() {
        let meminfo = "MemAvailable:   16539000 kB\nSReclaimable:    4046000 kB\n";
        assert_eq!(available_by(meminfo).unwrap(), 12_493_000 * 1024);
    }

    #[test]
    fn this_process_has_memory() {
        let reading = Reading::take(&[std::process::id()], &[]).unwrap();
        assert!(reading.servers > 0 && reading.loads == 0);
        assert!(reading.kernel.available > 0 && reading.kernel.descriptors > 0);
    }
}
