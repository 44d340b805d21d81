//! The whole run: servers and loads are started, sockets opened, messages sent, and all is drained.
//! Does not judge what it finds, but for what is lost: that is an error.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::children::{Load, Rooms};
use super::kernel::{self, Reading};
use super::limits::{Limits, Plan};
use super::load::Share;
use super::progress::Progress;
use super::protocol::{Closed, Command, Event, Messages, Opened, Pace};
use super::report::{Chatter, Drained, Opening, Report};
use crate::machine::Quiet;
use crate::suite::description::Machine;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Sockets; `None` for as many as the limits allow, up to [`GOAL`].
    pub sockets: Option<usize>,
    /// Members of a room.
    pub room: usize,
    /// Length of the two times in which messages are sent.
    pub seconds: f64,
    /// Messages a second in the first of them.
    pub rate: f64,
    /// Picks rooms and senders.
    pub seed: u64,
    /// Opening stops where less memory is available, in MiB.
    pub keep_mib: u64,
}

/// Sockets, if the machine holds so many.
pub const GOAL: usize = 1_000_000;

/// Opening stops after so long.
const OPENING_LIMIT: Duration = Duration::from_secs(600);
/// A room without an event leaves memory after ten seconds.
const REST: Duration = Duration::from_secs(12);
/// Messages that are under way at a time in the second time, all loads together; one a load at least.
const IN_FLIGHT: usize = 64;
/// What a load does not answer for so long, beyond what it was told to take, has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Servers have five minutes to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(330);
/// How often nothing but the time has changed.
const GLANCE: Duration = Duration::from_millis(250);

/// Runs it all.
pub fn run(options: Options) -> Result<Report> {
    ensure!(
        options.rate > 0.0 && options.seconds > 0.0 && options.seconds <= 600.0,
        "messages need a rate, and up to 600 seconds"
    );
    let wanted = options.sockets.unwrap_or(GOAL);
    let limits = Limits::read(wanted)?;
    let plan = limits.plan(wanted, options.room)?;
    let machine = Machine::read()?;

    let mut run = Run::start_servers(&plan)?;
    let before = run.reading()?;
    let opening = run.open(&plan, options)?;
    run.rest()?;
    let idle = run.reading()?;
    let loads = run.loads.len() as f64;
    let steady = run.chat(options, |nth| Pace::Every {
        interval: loads / options.rate,
        offset: nth as f64 / options.rate,
    })?;
    let each = (IN_FLIGHT / run.loads.len()).max(1);
    let fast = run.chat(options, |_| Pace::InFlight(each))?;
    let after = run.reading()?;
    let drained = run.drain()?;
    Ok(Report {
        machine,
        limits,
        plan,
        wanted,
        room: options.room,
        rate: options.rate,
        seed: options.seed,
        opening,
        before,
        idle,
        after,
        steady,
        fast,
        in_flight: each * loads as usize,
        drained,
    })
}

/// What runs. Dropping it ends the processes.
struct Run {
    servers: Vec<Rooms>,
    loads: Vec<Load>,
    events: Receiver<(usize, Event)>,
    sender: mpsc::Sender<(usize, Event)>,
    open: u64,
}

impl Run {
    fn start_servers(plan: &Plan) -> Result<Self> {
        let mut progress = Progress::new("servers", plan.servers as u64)?;
        let mut servers = Vec::new();
        for _ in 0..plan.servers {
            servers.push(Rooms::start()?);
            progress.at(servers.len() as u64, "");
        }
        let (sender, events) = mpsc::channel();
        Ok(Self {
            servers,
            loads: Vec::new(),
            events,
            sender,
            open: 0,
        })
    }

    fn reading(&self) -> Result<Reading> {
        let (servers, loads) = self.pids();
        Reading::take(&servers, &loads)
    }

    fn pids(&self) -> (Vec<u32>, Vec<u32>) {
        let servers = self.servers.iter().map(Rooms::pid).collect();
        (servers, self.loads.iter().map(Load::pid).collect())
    }

    /// The next event, if there is one soon.
    fn next(&self) -> Result<Option<(usize, Event)>> {
        match self.events.recv_timeout(GLANCE) {
            Ok((nth, Event::Failed(why))) => bail!("load {nth} has failed: {why}"),
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("no load is left"),
        }
    }

    fn tell_all(&mut self, command: &Command) -> Result<()> {
        self.loads
            .iter_mut()
            .try_for_each(|load| load.command(command))
    }

    /// Starts the loads, which open their sockets, until all are open or something stops it.
    fn open(&mut self, plan: &Plan, options: Options) -> Result<Opening> {
        let Options { room, keep_mib, .. } = options;
        let start = Instant::now();
        let mut first = 0;
        for (nth, &sockets) in plan.loads.iter().enumerate() {
            let addr = self.servers[nth % self.servers.len()].addr();
            let share = Share {
                addr,
                first,
                sockets,
                room,
            };
            self.loads
                .push(Load::start(nth, share, self.sender.clone())?);
            // The next one begins with a room of its own.
            first = (first + sockets).next_multiple_of(room);
        }
        let mut progress = Progress::new("sockets", plan.sockets as u64)?;
        let mut open = vec![0; self.loads.len()];
        let mut stopped = None;
        let (mut left, mut last) = (self.loads.len(), Instant::now());
        while left > 0 {
            let mut why = None;
            match self.next()? {
                Some((nth, Event::Open(count))) => open[nth] = count,
                Some((
                    nth,
                    Event::Opened(Opened {
                        open: count,
                        failed,
                    }),
                )) => {
                    open[nth] = count;
                    left -= 1;
                    why = failed.map(|failed| format!("load {nth} could open no more: {failed}"));
                }
                Some((nth, other)) => bail!("load {nth} says {other:?} while it opens sockets"),
                None => {}
            }
            let so_far = open.iter().sum();
            if so_far != self.open {
                (self.open, last) = (so_far, Instant::now());
            }
            let mib = kernel::available()? >> 20;
            progress.at(so_far, &format!("{mib} MiB of memory available"));
            if mib < keep_mib {
                why = Some(format!(
                    "memory: {mib} MiB are available, and {keep_mib} are kept free"
                ));
            } else if start.elapsed() > OPENING_LIMIT {
                why = Some(format!("time: opening takes longer than {OPENING_LIMIT:?}"));
            }
            if let (Some(why), None) = (why, &stopped) {
                stopped = Some(why);
                self.tell_all(&Command::Stop)?;
            }
            ensure!(
                last.elapsed() < PATIENCE,
                "no load has opened a socket for {PATIENCE:?}"
            );
        }
        let seconds = (last - start).as_secs_f64();
        let open = self.open;
        ensure!(
            open > 0,
            "no socket was opened: {}",
            stopped.unwrap_or_default()
        );
        Ok(Opening {
            open,
            seconds,
            stopped,
        })
    }

    /// Leaves all alone for a while.
    fn rest(&self) -> Result<()> {
        let mut progress = Progress::new("seconds of rest", REST.as_secs())?;
        let start = Instant::now();
        while start.elapsed() < REST {
            if let Some((nth, event)) = self.next()? {
                bail!("load {nth} says {event:?} at rest");
            }
            progress.at(start.elapsed().as_secs(), "");
        }
        Ok(())
    }

    /// Sends messages, and waits until all have come.
    fn chat(&mut self, options: Options, pace: impl Fn(usize) -> Pace) -> Result<Chatter> {
        let before = self.reading()?;
        let (servers, loads) = self.pids();
        let quiet = Quiet::watch([servers, loads].concat())?;
        for (nth, load) in self.loads.iter_mut().enumerate() {
            load.command(&Command::Messages(Messages {
                pace: pace(nth),
                seconds: options.seconds,
                seed: options.seed.wrapping_add(nth as u64),
            }))?;
        }
        let seconds = options.seconds.ceil();
        let mut progress = Progress::new("seconds of messages", seconds as u64)?;
        let limit = Duration::from_secs_f64(seconds) + PATIENCE;
        let (start, mut heard) = (Instant::now(), Vec::new());
        while heard.len() < self.loads.len() {
            match self.next()? {
                Some((_, Event::Heard(one))) => heard.push(one),
                Some((nth, other)) => bail!("load {nth} says {other:?} while messages are sent"),
                None => {}
            }
            progress.at(start.elapsed().as_secs(), "");
            ensure!(
                start.elapsed() < limit,
                "messages have not come within {limit:?}"
            );
        }
        let after = self.reading()?;
        Chatter::sum(&heard, [before, after], quiet.others()?)
    }

    /// Ends all servers at once, and waits until every socket and server has ended.
    fn drain(mut self) -> Result<Drained> {
        self.tell_all(&Command::ExpectClose)?;
        let (asked, mut expecting) = (Instant::now(), 0);
        while expecting < self.loads.len() {
            match self.next()? {
                Some((_, Event::Expecting)) => expecting += 1,
                Some((nth, other)) => bail!("load {nth} says {other:?} before the drain"),
                None => ensure!(asked.elapsed() < PATIENCE, "a load does not answer"),
            }
        }
        let start = Instant::now();
        self.servers.iter().try_for_each(Rooms::terminate)?;
        let (closed, sockets_seconds) = self.sockets_closed(start)?;
        let mut good = 0;
        for server in &mut self.servers {
            let status = loop {
                if let Some(status) = server.ended()? {
                    break status;
                }
                ensure!(
                    start.elapsed() < DRAIN_LIMIT,
                    "a server has not ended after its drain"
                );
                std::thread::sleep(Duration::from_millis(5));
            };
            good += usize::from(status.success());
        }
        Ok(Drained {
            closed,
            sockets_seconds,
            seconds: start.elapsed().as_secs_f64(),
            servers: self.servers.len(),
            ended_well: good,
        })
    }

    /// How all sockets have ended, and after how many seconds.
    fn sockets_closed(&mut self, start: Instant) -> Result<(Closed, f64)> {
        let mut progress = Progress::new("closed", self.open)?;
        let mut so_far = vec![0; self.loads.len()];
        let mut all = Closed::default();
        let mut done = vec![false; self.loads.len()];
        while done.contains(&false) {
            match self.events.recv_timeout(GLANCE) {
                Ok((nth, Event::Closing(count))) => so_far[nth] = count,
                Ok((nth, Event::Closed(closed))) => {
                    all = all.and(closed);
                    so_far[nth] = closed.all();
                    done[nth] = true;
                }
                // Having told how its sockets have ended, a load ends too.
                Ok((nth, Event::Failed(why))) => {
                    ensure!(done[nth], "load {nth} has failed: {why}");
                }
                Ok((nth, other)) => bail!("load {nth} says {other:?} in the drain"),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("no load is left"),
            }
            progress.at(so_far.iter().sum(), "");
            ensure!(
                start.elapsed() < DRAIN_LIMIT,
                "sockets are left after the drain's time"
            );
        }
        Ok((all, start.elapsed().as_secs_f64()))
    }
}
