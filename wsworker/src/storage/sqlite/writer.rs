//! Commits: what waits goes into one transaction, and so into one sync of the disk.

use std::iter::repeat_with;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::apply::{Apply, Classes};
use super::database::{Place, touch};
use super::group::{Failure, store_each};
use super::log::{Limits, Log};
use super::threads::{Threads, ended};
use crate::error::Result;
use crate::storage::Commit;

/// At most so many batches become one transaction.
pub(super) const GROUP: usize = 1024;

/// No batch is added to a transaction of so many bytes.
pub(super) const GROUP_BYTES: usize = 8 << 20;

/// The thread that commits.
pub(super) struct Writer(Threads<Job>);

/// What one caller wants to be stored: each for itself.
struct Job {
    commits: Vec<Commit>,
    answer: oneshot::Sender<Vec<Result<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        place: &Arc<Place>,
        limits: Limits,
    ) -> Result<Self> {
        let mut worker = Worker {
            log: Log::start(place, limits)?,
            connection,
            classes: Classes::default(),
            place: Arc::clone(place),
        };
        Threads::one("commit", move |queue| worker.work(queue)).map(Self)
    }

    pub(super) async fn commit(&self, commits: Vec<Commit>) -> Vec<Result<()>> {
        let count = commits.len();
        if commits.iter().all(|commit| commit.batch.is_empty()) {
            return repeat_with(|| Ok(())).take(count).collect();
        }
        let answered = self.0.ask(|answer| Job { commits, answer }).await;
        answered.unwrap_or_else(|_| repeat_with(|| Err(ended())).take(count).collect())
    }
}

struct Worker {
    // Dropped before the connection, which is then the last and empties the log.
    log: Log,
    connection: Connection,
    classes: Classes,
    place: Arc<Place>,
}

impl Worker {
    fn work(&mut self, mut queue: UnboundedReceiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let (mut group, mut answers, mut size) = (Vec::new(), Vec::new(), 0);
            let mut next = Some(first);
            while let Some(Job { commits, answer }) = next {
                // Whoever dropped the call does not want it any more.
                if !answer.is_closed() {
                    size += commits
                        .iter()
                        .map(|commit| commit.batch.bytes())
                        .sum::<usize>();
                    answers.push((commits.len(), answer));
                    group.extend(commits);
                }
                let room = group.len() < GROUP && size < GROUP_BYTES;
                next = room.then(|| queue.try_recv().ok()).flatten();
            }
            let mut results = self.settle(&group);
            // Before anyone hears of it: then the batches are the objects' alone again.
            drop(group);
            for (count, answer) in answers {
                let later = results.split_off(count);
                // The call may have been dropped meanwhile.
                let _ = answer.send(std::mem::replace(&mut results, later));
            }
            self.log.committed(&self.connection);
        }
    }

    /// Commits what can be; gives what became of each.
    fn settle(&mut self, group: &[Commit]) -> Vec<Result<()>> {
        let place = Arc::clone(&self.place);
        let stored = store_each(group, |part| self.transaction(part));
        let told = |error| place.failed("commit to", error);
        let results = stored.into_iter().map(|stored| stored.map_err(told));
        results.collect()
    }

    /// Stores all of the group, or nothing.
    fn transaction(&mut self, group: &[Commit]) -> Result<(), Failure> {
        match self.attempt(group) {
            // On a small disk the log itself may be what fills it.
            Err(failure) if failure.is_full() && self.log.empty(&self.connection) => {
                self.attempt(group)
            }
            result => result,
        }
    }

    fn attempt(&mut self, group: &[Commit]) -> Result<(), Failure> {
        if group.is_empty() {
            return Ok(());
        }
        let mut classes = Vec::with_capacity(group.len());
        for (at, Commit { object, .. }) in group.iter().enumerate() {
            let number = self.classes.number(&self.connection, &object.class);
            classes.push(number.map_err(|error| Failure {
                at: Some(at),
                error,
            })?);
        }
        self.execute("BEGIN IMMEDIATE").map_err(Failure::whole)?;
        let result = self.try_transaction(group, &classes);
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        // What a failed sync leaves in the log is complete, and would be found there if
        // the process were killed now.
        if let Err(Failure { at: None, .. }) = &result {
            let _ = touch(&self.connection);
        }
        result
    }

    fn try_transaction(&self, group: &[Commit], classes: &[i64]) -> Result<(), Failure> {
        let mut apply = Apply::new(&self.connection);
        for (at, (commit, class)) in group.iter().zip(classes).enumerate() {
            let applied = apply.batch(*class, &commit.object.id, &commit.batch);
            applied.map_err(|error| Failure {
                at: Some(at),
                error,
            })?;
        }
        self.execute("COMMIT").map_err(Failure::whole)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
