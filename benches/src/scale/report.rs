//! What a run has shown, for a reader.
//! Runs nothing.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::children::SETTINGS;
use super::kernel::{Kernel, Reading};
use super::limits::{Limits, Plan};
use super::protocol::{Closed, Heard};
use super::rooms::SIZE;
use crate::load::latency::{Latency, Times};
use crate::suite::description::Machine;
use crate::suite::report::{figure, thousands};

/// All figures of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// What it allows.
    pub limits: Limits,
    /// How it was used.
    pub plan: Plan,
    /// Sockets that were wanted.
    pub wanted: usize,
    /// Members of a room.
    pub room: usize,
    /// Messages a second, of the first time.
    pub rate: f64,
    /// Picked rooms and senders.
    pub seed: u64,
    /// How opening went.
    pub opening: Opening,
    /// Servers alone, before the first socket.
    pub before: Reading,
    /// All sockets at rest.
    pub idle: Reading,
    /// After the messages.
    pub after: Reading,
    /// Messages at a rate.
    pub steady: Chatter,
    /// Messages as fast as they come.
    pub fast: Chatter,
    /// Messages under way at a time then.
    pub in_flight: usize,
    /// The end.
    pub drained: Drained,
}

/// How opening went.
#[derive(Debug, Clone, Serialize)]
pub struct Opening {
    /// Sockets open.
    pub open: u64,
    /// From the start of the loads to the last socket.
    pub seconds: f64,
    /// What stopped it before all were open.
    pub stopped: Option<String>,
}

/// What became of messages; all have come.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Chatter {
    /// Messages sent.
    pub messages: u64,
    /// Messages received: one for each member.
    pub deliveries: u64,
    /// From the first that was sent to the last that came.
    pub seconds: f64,
    /// From a send until a member has it.
    pub delivery: Latency,
    /// From a send until all members have it.
    pub whole: Latency,
    /// From when a message was due until it was sent.
    pub lateness: Latency,
    /// The servers' CPU time, in seconds.
    pub servers_cpu: f64,
    /// The loads'.
    pub loads_cpu: f64,
    /// What other programs and guests have used of one core.
    pub others: f64,
}

/// How all has ended.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Drained {
    /// The sockets.
    pub closed: Closed,
    /// From the signals to the end of the last socket.
    pub sockets_seconds: f64,
    /// From the signals to the end of the last server.
    pub seconds: f64,
    /// Server processes.
    pub servers: usize,
    /// Those with exit status 0.
    pub ended_well: usize,
}

impl Drained {
    fn check(&self, open: u64) -> Result<()> {
        let closed = self.closed;
        ensure!(
            closed.going_away == open,
            "{open} sockets were to end with 1001, and so did {}: {closed:?}",
            closed.going_away
        );
        ensure!(
            self.ended_well == self.servers,
            "of {} servers {} have ended with status 0",
            self.servers,
            self.ended_well
        );
        Ok(())
    }
}

impl Chatter {
    /// Of all loads together, between two readings, while others have used so much of a core.
    pub(super) fn sum(heard: &[Heard], readings: [Reading; 2], others: f64) -> Result<Self> {
        let [before, after] = readings;
        let mut times = [Times::new()?, Times::new()?, Times::new()?];
        for one in heard {
            let recorded = [&one.delivery, &one.whole, &one.lateness];
            let pairs = times.iter_mut().zip(recorded);
            pairs.for_each(|(times, one)| times.add(one));
        }
        let [delivery, whole, lateness] = times.map(|times| times.latency());
        let none = "no message was sent";
        Ok(Self {
            messages: heard.iter().map(|one| one.messages).sum(),
            deliveries: heard.iter().map(|one| one.deliveries).sum(),
            seconds: heard.iter().map(|one| one.seconds).fold(0.0, f64::max),
            delivery: delivery.context(none)?,
            whole: whole.context(none)?,
            lateness: lateness.context(none)?,
            servers_cpu: after.servers_cpu - before.servers_cpu,
            loads_cpu: after.loads_cpu - before.loads_cpu,
            others,
        })
    }
}

impl Report {
    /// An error if a socket or a server has not ended as it must. That messages are missing is one
    /// before there is a report.
    pub fn check(&self) -> Result<()> {
        self.drained.check(self.opening.open)
    }

    /// For a reader.
    pub fn markdown(&self) -> String {
        let open = self.opening.open;
        let mut out = format!(
            "# {} WebSockets in rooms of {}\n\n{}. Both ends are on it. Seed {}.\n\n",
            thousands(open),
            thousands(self.room as u64),
            self.machine.describe(),
            self.seed
        );
        out.push_str(&self.processes());
        out.push_str(&self.stopped());
        out.push_str(&self.opening());
        out.push_str(&self.memory());
        out.push_str(&self.messages());
        out.push_str(&self.drain());
        out
    }

    fn processes(&self) -> String {
        let settings = SETTINGS.map(|(name, value)| format!("{name}={value}"));
        format!(
            "A process may have {} descriptors (RLIMIT_NOFILE), all together {} (fs.file-max): {} server \
             process{}, {} of the load. Settings that differ from a server's defaults: {}.\n",
            thousands(self.limits.process_files),
            thousands(self.limits.machine_files),
            self.plan.servers,
            if self.plan.servers == 1 { "" } else { "es" },
            self.plan.loads.len(),
            settings.join(", ")
        )
    }

    fn stopped(&self) -> String {
        let reasons = [&self.plan.limited, &self.opening.stopped];
        stopped(self.opening.open, self.wanted as u64, reasons)
    }

    fn opening(&self) -> String {
        let Opening { open, seconds, .. } = self.opening;
        let cpu = |now: f64, then: f64| figure((now - then) * 1e6 / open as f64);
        format!(
            "\n## Opening\n\n{} sockets in {} s: {} a second. CPU for each until all are at rest, pings \
             included: servers {} µs, load {} µs. {} pings were answered in the whole run.\n",
            thousands(open),
            figure(seconds),
            figure(open as f64 / seconds),
            cpu(self.idle.servers_cpu, self.before.servers_cpu),
            cpu(self.idle.loads_cpu, self.before.loads_cpu),
            thousands(self.drained.closed.pings)
        )
    }

    fn memory(&self) -> String {
        let mut out = String::from(
            "\n## Memory\n\nThe kernel's is of both ends of a socket, and so is what all has cost.\n\n\
             | | before | at rest | after messages | bytes each, at rest |\n\
             | --- | ---: | ---: | ---: | ---: |\n",
        );
        let mib = |bytes: u64| format!("{} MiB", thousands(bytes >> 20));
        let mut line = |name: &str, of: &dyn Fn(&Reading) -> u64, show: &dyn Fn(u64) -> String| {
            let [before, idle, after] = [&self.before, &self.idle, &self.after].map(of);
            let each = (idle as f64 - before as f64) / self.opening.open as f64;
            let values = [before, idle, after].map(show).join(" | ");
            let _ = writeln!(out, "| {name} | {values} | {} |", figure(each));
        };
        let kernel = |of: fn(&Kernel) -> u64| move |reading: &Reading| of(&reading.kernel);
        line("servers, user space", &|r| r.servers, &mib);
        line("load, user space", &|r| r.loads, &mib);
        line("kernel: slab", &kernel(|k| k.slab), &mib);
        line(
            "of it unreclaimable",
            &kernel(|k| k.slab_unreclaimable),
            &mib,
        );
        line("kernel: vmalloc", &kernel(|k| k.vmalloc), &mib);
        line("kernel: page tables", &kernel(|k| k.page_tables), &mib);
        line("kernel: TCP buffers", &kernel(|k| k.tcp_buffers), &mib);
        line("available to programs", &kernel(|k| k.available), &mib);
        line("TCP sockets", &kernel(|k| k.tcp_sockets), &thousands);
        line("descriptors", &kernel(|k| k.descriptors), &thousands);
        out
    }

    fn messages(&self) -> String {
        let mut out = format!(
            "\n## Messages into random rooms\n\nOf {SIZE} bytes, from a random member to all {} of its room. \
             Each was compared at each member, and none is lost. `room` is until all members have it; `late` \
             is how long after its time the load sent a message.\n\n\
             | | messages/s | deliveries/s | | p50 ms | p99 ms | p99.9 ms | max ms |\n\
             | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |\n",
            self.room
        );
        let names = [
            format!("{} a second", figure(self.rate)),
            format!("{} in flight", self.in_flight),
        ];
        for (name, chatter) in names.iter().zip([&self.steady, &self.fast]) {
            let rate = |count: u64| figure(count as f64 / chatter.seconds);
            let (messages, deliveries) = (rate(chatter.messages), rate(chatter.deliveries));
            let mut line = |first: String, what: &str, latency: Latency| {
                let Latency {
                    p50_us,
                    p99_us,
                    p999_us,
                    max_us,
                } = latency;
                let times = [p50_us, p99_us, p999_us, max_us].map(|us| figure(us / 1e3));
                let _ = writeln!(out, "| {first} | {what} | {} |", times.join(" | "));
            };
            line(
                format!("{name} | {messages} | {deliveries}"),
                "delivery",
                chatter.delivery,
            );
            line(" | | ".to_owned(), "room", chatter.whole);
            line(" | | ".to_owned(), "late", chatter.lateness);
        }
        for (name, chatter) in names.iter().zip([&self.steady, &self.fast]) {
            let cpu = |seconds: f64| figure(seconds * 1e6 / chatter.deliveries as f64);
            let _ = writeln!(
                out,
                "\n{name}: {} messages, {} deliveries in {} s; CPU for each delivery, pings \
                 included: servers {} µs, load {} µs. Others have used {:.0}% of a core.",
                thousands(chatter.messages),
                thousands(chatter.deliveries),
                figure(chatter.seconds),
                cpu(chatter.servers_cpu),
                cpu(chatter.loads_cpu),
                chatter.others * 100.0
            );
        }
        out
    }

    fn drain(&self) -> String {
        let Drained {
            closed,
            sockets_seconds,
            seconds,
            servers,
            ended_well,
        } = self.drained;
        format!(
            "\n## Drain\n\nSIGTERM to all servers: {} sockets got a Close 1001, answered it, and saw the end \
             of their connection; {} got another code, {} no Close, {} a reset after it. The last one after {} \
             s, {} a second; {ended_well} of {servers} servers had exit status 0, the last after {} s.\n",
            thousands(closed.going_away),
            thousands(closed.other_code),
            thousands(closed.without),
            thousands(closed.reset),
            figure(sockets_seconds),
            figure(closed.all() as f64 / sockets_seconds),
            figure(seconds)
        )
    }
}

fn stopped(open: u64, wanted: u64, reasons: [&Option<String>; 2]) -> String {
    let (open, wanted) = (thousands(open), thousands(wanted));
    let reasons: Vec<_> = reasons.into_iter().flatten().map(String::as_str).collect();
    match &*reasons {
        [] => format!("\nNothing stopped it: {open} of {wanted} are open.\n"),
        _ => {
            let reasons = reasons.join("; ");
            format!("\n**Stopped at {open} of {wanted}:** {reasons}.\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_stopped_it() {
        let text = stopped(1000, 1000, [&None, &None]);
        assert_eq!(text.trim(), "Nothing stopped it: 1,000 of 1,000 are open.");
        let (files, memory) = (Some("files".to_owned()), Some("memory".to_owned()));
        let text = stopped(999, 2000, [&files, &memory]);
        assert_eq!(text.trim(), "**Stopped at 999 of 2,000:** files; memory.");
    }

    #[test]
    fn a_socket_without_its_close_and_a_server_that_failed_are_errors() {
        let drained = |going_away, without, ended_well| Drained {
            closed: Closed {
                going_away,
                without,
                ..Closed::default()
            },
            sockets_seconds: 1.0,
            seconds: 1.0,
            servers: 2,
            ended_well,
        };
        drained(100, 0, 2).check(100).unwrap();
        assert!(drained(99, 1, 2).check(100).is_err());
        assert!(drained(100, 0, 1).check(100).is_err());
    }
}
