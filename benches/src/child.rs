//! A process that this program has started; it ends with the value that stands for it.
//! Does not start it.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A server that accepts nothing for so long has failed.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running process. Dropping it kills it.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// The process that was started, under a name for errors.
    pub fn of(name: &'static str, child: Child) -> Self {
        Self { name, child }
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it can be opened.
    pub fn until_ready<T>(&mut self, open: impl Fn() -> Result<T>) -> Result<()> {
        let start = Instant::now();
        while let Err(failure) = open() {
            if let Some(status) = self.ended()? {
                bail!("{} ended at once: {status}", self.name);
            }
            if start.elapsed() > START_LIMIT {
                return Err(failure.context(format!("{} is not ready", self.name)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Asks it to end.
    pub fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.pid())?;
        let pid = Pid::from_raw(pid).context("a process has a number")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do about it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
