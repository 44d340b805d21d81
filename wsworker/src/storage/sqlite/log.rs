//! Keeps the write-ahead log short: who copies it into the database, and when.
//! Does not write what is in it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};

use super::database::{PATIENCE, Place};
use super::threads::spawn;
use crate::error::Result;
use crate::log::warn;

/// In pages, of 4 KiB.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// So many are copied beside the commits.
    pub(super) copy: usize,
    /// With so many the log is to start afresh as soon as little is left to be copied, for
    /// which commits have to wait, if the copies are brief.
    pub(super) restart: usize,
    /// With so many in any case, though commits have to wait for all that is left.
    pub(super) full: usize,
}

impl Limits {
    /// Commits may wait until so many are copied.
    fn little(self) -> usize {
        self.copy / 4
    }
}

/// A copy of a few pages that are written again and again takes less; one of thousands of
/// others more, and what starts the log afresh then syncs all of those.
const BRIEF: Duration = Duration::from_millis(4);

/// How long commits wait for readers that still need the log, before it starts afresh.
const PAUSE: Duration = Duration::from_millis(20);

/// How long commits wait for a copy under way, when the log is full.
const PAUSE_FOR_COPY: Duration = Duration::from_secs(1);

/// After a checkpoint that failed.
const RETRY: Duration = Duration::from_secs(1);

/// The log, as whoever writes to it sees it.
pub(super) struct Log {
    limits: Limits,
    /// How many pages there were last.
    pages: usize,
    /// Let it grow to here: a reader was in the way.
    grow: usize,
    /// With so many it may be copied again, however little that brought last.
    copy_at: usize,
    /// When it could not be emptied. Each try writes all that has been copied before.
    in_vain: Option<Instant>,
    copying: Arc<Copying>,
    /// The last copy was.
    brief: Arc<AtomicBool>,
    /// `None` while it is dropped.
    wake: Option<SyncSender<()>>,
    copier: Option<JoinHandle<()>>,
}

impl Log {
    pub(super) fn start(place: &Arc<Place>, limits: Limits) -> Result<Self> {
        let (wake, woken) = sync_channel(1);
        let copying = Arc::<Copying>::default();
        let brief = Arc::new(AtomicBool::new(true));
        let copier = Copier {
            connection: place.open_to_checkpoint()?,
            place: Arc::clone(place),
            copying: Arc::clone(&copying),
            brief: Arc::clone(&brief),
        };
        Ok(Self {
            limits,
            pages: 0,
            grow: 0,
            copy_at: 0,
            in_vain: None,
            copying,
            brief,
            wake: Some(wake),
            copier: Some(spawn("log", move || copier.work(&woken))?),
        })
    }

    /// To be called by the only one that writes, between two transactions.
    pub(super) fn committed(&mut self, connection: &Connection) {
        let Ok((pages, copied)) = checkpoint(connection, CheckpointMode::NOOP) else {
            return;
        };
        if pages < self.pages {
            // It has started afresh.
            (self.grow, self.copy_at) = (0, 0);
        }
        self.pages = pages;
        let Limits {
            copy,
            restart,
            full,
        } = self.limits;
        let is_full = pages >= full.max(self.grow);
        let patience = if is_full {
            PAUSE_FOR_COPY
        } else {
            Duration::ZERO
        };
        let copying = !self.copying.ends_within(patience);
        if copying && !is_full {
            return;
        }
        let (left, little) = (pages.saturating_sub(copied), self.limits.little());
        let is_long = pages >= restart.max(self.grow) && self.brief.load(Ordering::Relaxed);
        let due = if is_long { little } else { copy };
        if is_full || is_long && left <= little {
            let restarted = !copying && start_afresh(connection, CheckpointMode::RESTART).is_ok();
            self.grow = if restarted { 0 } else { pages + copy };
        } else if left >= due && pages >= self.copy_at {
            self.copy_at = pages + little;
            self.copying.begin();
            if let Some(wake) = &self.wake {
                let _ = wake.try_send(());
            }
        }
    }

    /// Gives back to a full disk what the log has of it; as [`committed`](Self::committed), when
    /// a transaction has found no room. Gives whether there is more now.
    pub(super) fn empty(&mut self, connection: &Connection) -> bool {
        if self.in_vain.is_some_and(|at| at.elapsed() < RETRY) {
            return false;
        }
        let pages = checkpoint(connection, CheckpointMode::NOOP);
        let emptied = pages.is_ok_and(|(pages, _)| pages > 0)
            && start_afresh(connection, CheckpointMode::TRUNCATE).is_ok();
        self.in_vain = (!emptied).then(Instant::now);
        emptied
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(copier) = self.copier.take() {
            // A panic has been reported by itself.
            let _ = copier.join();
        }
    }
}

impl Default for Limits {
    /// The log starts afresh early where that costs little: to sync what makes a file
    /// longer takes twice the time of what is written over (ext4: 150 µs and 75).
    fn default() -> Self {
        Self {
            copy: 4 << 10,
            restart: 4 << 10,
            full: 16 << 10,
        }
    }
}

/// Is a copy under way?
#[derive(Default)]
struct Copying {
    under_way: Mutex<bool>,
    ended: Condvar,
}

impl Copying {
    fn begin(&self) {
        *self.under_way() = true;
    }

    fn end(&self) {
        *self.under_way() = false;
        self.ended.notify_one();
    }

    /// None is, or it ends in this time.
    fn ends_within(&self, time: Duration) -> bool {
        let under_way = self.under_way();
        let waited = self.ended.wait_timeout_while(under_way, time, |is| *is);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn under_way(&self) -> MutexGuard<'_, bool> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies beside the commits.
struct Copier {
    connection: Connection,
    place: Arc<Place>,
    copying: Arc<Copying>,
    brief: Arc<AtomicBool>,
}

impl Copier {
    fn work(self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            let started = Instant::now();
            if let Err(error) = checkpoint(&self.connection, CheckpointMode::PASSIVE) {
                let error = self.place.failed("copy its log into", error);
                warn(&format!("{error}: it grows until that works again"));
                thread::sleep(RETRY);
            }
            self.brief
                .store(started.elapsed() < BRIEF, Ordering::Relaxed);
            self.copying.end();
        }
    }
}

/// Copies the rest, so that the next commit starts the log afresh.
fn start_afresh(connection: &Connection, mode: CheckpointMode) -> rusqlite::Result<()> {
    connection.busy_timeout(PAUSE)?;
    let restarted = checkpoint(connection, mode);
    connection.busy_timeout(PATIENCE)?;
    restarted.map(drop)
}

/// Gives the log's pages, and how many of them have been copied.
pub(super) fn checkpoint(
    connection: &Connection,
    mode: CheckpointMode,
) -> rusqlite::Result<(usize, usize)> {
    let (pages, copied) = connection.wal_checkpoint_v2(Some(MAIN_DB), mode)?;
    let positive = |count| usize::try_from(count).unwrap_or(0);
    Ok((positive(pages), positive(copied)))
}
