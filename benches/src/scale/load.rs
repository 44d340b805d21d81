//! One load process: it opens its share of the sockets, then does what it is told.
//! Ends with the program that started it, whose end closes its standard input.

use std::io::{BufRead, Write};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::chatter;
use super::members::Members;
pub use super::members::Share;
use super::protocol::{Command, Event, Opened};

/// Sockets under way at a time.
const PARALLEL: usize = 32;
/// A server that opens none for so long opens no more.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the progress is told.
const TELLING: Duration = Duration::from_millis(250);

/// Runs a load; what goes wrong is told on standard output too.
pub fn run(share: Share) -> Result<()> {
    let result = serve(share);
    if let Err(error) = &result {
        tell(&Event::Failed(format!("{error:#}")))?;
    }
    result
}

fn serve(share: Share) -> Result<()> {
    ensure!(share.sockets > 0 && share.room > 0, "a load needs a socket");
    let mut members = Members::new(share)?;
    let commands = listen(&members)?;
    let failed = open(&mut members, &commands)?;
    let open = members.open;
    tell(&Event::Opened(Opened { open, failed }))?;
    loop {
        match commands.try_recv() {
            // It may come while the last sockets are opened.
            Ok(Command::Stop) => {}
            Ok(Command::Messages(order)) => {
                let heard = chatter::run(&mut members, order)?;
                tell(&Event::Heard(heard))?;
            }
            Ok(Command::ExpectClose) => return drain(&mut members),
            Err(TryRecvError::Empty) => {
                members.pump(None)?;
            }
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

/// Opens all, or as many as it can. What stopped it, if something did.
fn open(members: &mut Members, commands: &Receiver<Command>) -> Result<Option<String>> {
    let mut progress = Progress::new();
    let mut stopped = false;
    loop {
        match commands.try_recv() {
            Ok(Command::Stop) => stopped = true,
            Ok(other) => bail!("{other:?} has come before all is open"),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => bail!("the program that started this has ended"),
        }
        while !stopped
            && members.refused.is_none()
            && !members.is_complete()
            && members.under_way < PARALLEL
        {
            if let Err(error) = members.begin() {
                members.refused = Some(format!("{error:#}"));
            }
        }
        if members.under_way == 0 {
            return Ok(members.refused.take());
        }
        members.pump(Some(TELLING))?;
        if progress.told(members.open, Event::Open)? > PATIENCE {
            let under_way = members.under_way;
            members.give_up_opening();
            return Ok(Some(format!(
                "no socket was opened for {PATIENCE:?}, while {under_way} were under way"
            )));
        }
    }
}

/// Waits until the server has ended all sockets.
fn drain(members: &mut Members) -> Result<()> {
    members.ending = true;
    tell(&Event::Expecting)?;
    let mut progress = Progress::new();
    while members.closed.all() < members.open {
        members.pump(Some(TELLING))?;
        let idle = progress.told(members.closed.all(), Event::Closing)?;
        // Others' sockets may be closed first.
        ensure!(
            idle < 6 * PATIENCE,
            "{} sockets were not closed",
            members.open - members.closed.all()
        );
    }
    tell(&Event::Closed(members.closed))
}

/// Tells how far something is, not too often.
struct Progress {
    count: u64,
    /// When the count has changed.
    changed: Instant,
    told: Instant,
}

impl Progress {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            count: 0,
            changed: now,
            told: now,
        }
    }

    /// For how long the count has not changed.
    fn told(&mut self, count: u64, event: impl Fn(u64) -> Event) -> Result<Duration> {
        let now = Instant::now();
        if count != self.count {
            (self.count, self.changed) = (count, now);
        }
        if now - self.told > TELLING {
            self.told = now;
            tell(&event(count))?;
        }
        Ok(now - self.changed)
    }
}

fn tell(event: &Event) -> Result<()> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}

/// The commands, as they come; disconnected at the end of the input.
fn listen(members: &Members) -> Result<Receiver<Command>> {
    let waker = members.waker()?;
    let (commands, received) = mpsc::channel();
    std::thread::Builder::new()
        .name("commands".to_owned())
        .spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Some(command) = line.ok().and_then(|line| serde_json::from_str(&line).ok())
                else {
                    break;
                };
                if commands.send(command).is_err() {
                    break;
                }
                // It fails with the poll, whose end ends the process.
                let _ = waker.wake();
            }
            drop(commands);
            let _ = waker.wake();
        })
        .context("starting a thread")?;
    Ok(received)
}
