//! The loads that a server is put under, one thread each.
//! None of them starts a server; they are given an address and a process id.

mod conn;
pub mod echo;
pub mod flood;
pub mod handshake;
pub mod idle;
pub mod increments;
pub mod latency;
pub mod paced;
pub mod room;
pub mod steady;

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::Result;

use crate::process::{Spent, Usage};

/// The server under load.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddrV4,
    /// Its process.
    pub pid: u32,
    /// It speaks TLS; the loads `echo` and `room` do so too then.
    pub tls: bool,
}

impl Target {
    /// Waits until the server has done what is left to do, such as noticing closed connections: at
    /// most a second.
    pub fn settle(&self) -> Result<Usage> {
        const QUIET_US: f64 = 200.0;
        let mut last = Usage::read(self.pid)?;
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(20));
            let now = Usage::read(self.pid)?;
            let spent: Spent = now.since(&last);
            last = now;
            if spent.cpu_us < QUIET_US {
                break;
            }
        }
        Ok(last)
    }
}
