//! The machine that results are from.
//! Reads only.

use std::fs;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::Serialize;

use super::build::cargo;

/// What a reader of the results needs to know of the machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name for itself.
    pub cpu: String,
    /// Cores that this program may use.
    pub cores: usize,
    /// Of memory, in GiB.
    pub memory_gib: f64,
    /// Whether the processor says that it is a virtual machine's.
    pub virtual_machine: bool,
    /// The kernel's version.
    pub kernel: String,
    /// The toolchain's version.
    pub cargo: String,
    /// When the description was made, UTC.
    pub date: String,
}

impl Machine {
    /// Of this machine, now.
    pub fn read() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let kib = field(&meminfo, "MemTotal").context("no MemTotal")?;
        let kib: f64 = kib.trim_end_matches(" kB").parse()?;
        let cargo = Command::new(cargo()).arg("--version").output()?;
        Ok(Self {
            cpu: field(&cpuinfo, "model name")
                .unwrap_or("unknown")
                .to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: kib / 1024.0 / 1024.0,
            virtual_machine: field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            cargo: String::from_utf8_lossy(&cargo.stdout).trim().to_owned(),
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        })
    }

    /// One sentence of it.
    pub fn describe(&self) -> String {
        format!(
            "{}, {} cores{}, {:.0} GiB, Linux {}, {}, {}",
            self.cpu,
            self.cores,
            if self.virtual_machine {
                " of a virtual machine"
            } else {
                ""
            },
            self.memory_gib,
            self.kernel,
            self.cargo,
            self.date
        )
    }
}

/// The first line's value of a file of `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(found, _)| found.trim() == name)?;
    Some(value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_first_of_its_name() {
        let text = "model\t\t: 7\nmodel name\t: A CPU\n\nmodel name\t: B\n";
        assert_eq!(field(text, "model name"), Some("A CPU"));
        assert_eq!(field(text, "name"), None);
    }
}
