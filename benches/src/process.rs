//! What a process has used so far, from `/proc`: CPU time, context switches, memory.
//! Reads only; it neither starts nor ends a process.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// A reading of one process.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Thread ids with the nanoseconds that each has run.
    threads: Vec<(u32, u64)>,
    user: Duration,
    system: Duration,
    switches: u64,
}

/// The difference of two readings.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Spent {
    /// CPU time, all threads, µs.
    pub cpu_us: f64,
    /// The part in user space, in the kernel's ticks (10 ms), µs.
    pub user_us: f64,
    /// The part in the kernel, in its ticks, µs.
    pub system_us: f64,
    /// Voluntary and involuntary context switches.
    pub context_switches: u64,
}

impl Usage {
    /// Reads the process `pid`.
    pub fn read(pid: u32) -> Result<Self> {
        let (user, system) = times(pid)?;
        let mut usage = Self {
            threads: Vec::new(),
            user,
            system,
            switches: 0,
        };
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = entry?.path();
            // A thread may end between the listing and the reading.
            let (Ok(run), Ok(status)) = (
                fs::read_to_string(path.join("schedstat")),
                fs::read_to_string(path.join("status")),
            ) else {
                continue;
            };
            let id = path.file_name().and_then(|n| n.to_str()?.parse().ok());
            let run = run.split(' ').next().and_then(|ns| ns.parse().ok());
            usage.threads.extend(id.zip(run));
            usage.switches += field(&status, "voluntary_ctxt_switches:").unwrap_or(0)
                + field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(usage)
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Spent {
        let us = |d: Duration| d.as_secs_f64() * 1e6;
        let user_us = us(self.user.saturating_sub(earlier.user));
        let system_us = us(self.system.saturating_sub(earlier.system));
        Spent {
            cpu_us: self
                .run_since(earlier)
                .map_or(user_us + system_us, |ns| ns as f64 / 1e3),
            user_us,
            system_us,
            context_switches: self.switches.saturating_sub(earlier.switches),
        }
    }

    /// Nanoseconds from the scheduler: finer than ticks, but a thread that ended takes its own with
    /// it, so `None` if one did.
    fn run_since(&self, earlier: &Self) -> Option<u64> {
        let now = |id| Some(self.threads.iter().find(|(i, _)| *i == id)?.1);
        let before: u64 = earlier.threads.iter().map(|(_, ns)| ns).sum();
        for (id, ns) in &earlier.threads {
            if now(*id)? < *ns {
                return None;
            }
        }
        let total: u64 = self.threads.iter().map(|(_, ns)| ns).sum();
        (total > 0).then(|| total - before)
    }
}

/// User and system time of a process, threads that ended included; resolution 10 ms.
pub fn times(pid: u32) -> Result<(Duration, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("no process {pid}"))?;
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15 of the line.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let mut fields = after_name.split_whitespace().skip(11).map(str::parse);
    let mut next = || -> Result<Duration> {
        let ticks: u64 = fields.next().context("a short /proc/PID/stat")??;
        Ok(ticks_to_duration(ticks))
    };
    Ok((next()?, next()?))
}

/// The kernel's clock ticks as time.
pub fn ticks_to_duration(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Memory that a process holds now, in bytes. Buffers in the kernel are not in it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Memory {
    /// Resident, with the pages of mapped files.
    pub rss: u64,
    /// Resident and anonymous: heap and stacks. The figure to compare.
    pub anon: u64,
}

impl Memory {
    /// Reads the process `pid`.
    pub fn read(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("no process {pid}"))?;
        let bytes = |name| field(&status, name).map(|kib| kib * 1024);
        Ok(Self {
            rss: bytes("VmRSS:").context("no VmRSS")?,
            anon: bytes("RssAnon:").context("no RssAnon")?,
        })
    }

    /// Reads `pid` again and again until it neither grows nor shrinks; at most about 10 s.
    pub fn settled(pid: u32) -> Result<Self> {
        const SLACK: u64 = 16 * 1024;
        let mut last = Self::read(pid)?;
        let mut calm = 0;
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(200));
            let now = Self::read(pid)?;
            calm = if now.anon.abs_diff(last.anon) <= SLACK {
                calm + 1
            } else {
                0
            };
            last = now;
            if calm == 5 {
                break;
            }
        }
        Ok(last)
    }

    /// Bytes more than `earlier` for each of `count`.
    pub fn each_since(&self, earlier: &Self, count: usize) -> Each {
        let each = |now: u64, then: u64| (now as f64 - then as f64) / count as f64;
        Each {
            rss: each(self.rss, earlier.rss),
            anon: each(self.anon, earlier.anon),
        }
    }
}

/// Bytes for each connection.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Each {
    /// Of [`Memory::rss`].
    pub rss: f64,
    /// Of [`Memory::anon`].
    pub anon: f64,
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_work_is_seen() {
        let pid = std::process::id();
        let before = Usage::read(pid).unwrap();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(100) {}
        let spent = Usage::read(pid).unwrap().since(&before);
        assert!(spent.cpu_us > 20_000.0, "{spent:?}");
        assert!(Memory::read(pid).unwrap().anon > 0);
    }
}
