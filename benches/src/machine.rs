//! The machine's side of a measurement: cores, open files, and who else was running.
//! Changes nothing but this process, and through inheritance the ones that it starts.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::process;

/// Binds the calling thread, and what it starts from now on, to one core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("binding to core {core}"))
}

/// Lets the calling thread, and what it starts from now on, run on all cores again.
pub fn unpin() -> Result<()> {
    let mut set = CpuSet::new();
    // The kernel leaves out those that are not there, or not for this process.
    (0..CpuSet::MAX_CPU).for_each(|core| set.set(core));
    sched_setaffinity(None, &set).context("binding to all cores")
}

/// Makes room for `wanted` open files, here and in processes started from now on.
pub fn raise_open_files(wanted: u64) -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|n| n >= wanted) {
        return Ok(());
    }
    // Only root may lift the hard limit.
    let maximum = now.maximum.map(|hard| hard.max(wanted));
    let limit = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).with_context(|| {
        format!("{wanted} open files are needed: raise the hard limit (ulimit -Hn {wanted})")
    })
}

/// Makes room for `wanted` open files, or for as many as may be, here and in processes started from now
/// on. Gives how many may be.
pub fn most_open_files(wanted: u64) -> Result<u64> {
    if raise_open_files(wanted).is_err() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, limit).context("raising the soft limit of open files")?;
    }
    Ok(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Watches for CPU time that belongs neither to the load nor to the server.
pub struct Quiet {
    servers: Vec<u32>,
    since: Instant,
    busy: Duration,
    known: Duration,
}

impl Quiet {
    /// Begins to watch; `servers` are the processes under load.
    pub fn watch(servers: Vec<u32>) -> Result<Self> {
        Ok(Self {
            since: Instant::now(),
            busy: busy()?,
            known: known(&servers)?,
            servers,
        })
    }

    /// The part of one core that others have used since: 0.05 means 5%.
    ///
    /// Of two cores this can reach 2. The kernel counts in ticks, so it is rough below a second.
    pub fn others(&self) -> Result<f64> {
        let busy = busy()?.saturating_sub(self.busy);
        let known = known(&self.servers)?.saturating_sub(self.known);
        let others = busy.saturating_sub(known);
        Ok(others.as_secs_f64() / self.since.elapsed().as_secs_f64())
    }
}

/// CPU time of this process and the servers.
fn known(servers: &[u32]) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for pid in servers.iter().copied().chain([std::process::id()]) {
        let (user, system) = process::times(pid)?;
        all += user + system;
    }
    Ok(all)
}

/// CPU time of everything on the machine.
fn busy() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    ensure!(ticks.len() >= 8, "a short /proc/stat");
    // user, nice, system, idle, iowait, irq, softirq, steal: the last is a neighbour of this
    // virtual machine, which slows the server as much as a program beside it.
    let busy = ticks[..3].iter().chain(&ticks[5..8]).sum();
    Ok(process::ticks_to_duration(busy))
}
