//! Commits: what waits goes into one transaction, and so into one sync of the disk.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::apply::{Classes, apply};
use super::database::{Place, touch};
use super::log::{Limits, Log};
use super::threads::Threads;
use crate::error::Result;
use crate::storage::{Batch, ObjectKey};

/// At most so many batches become one transaction.
pub(super) const GROUP: usize = 1024;

/// No batch is added to a transaction of so many bytes.
pub(super) const GROUP_BYTES: usize = 8 << 20;

/// The thread that commits.
pub(super) struct Writer(Threads<Commit>);

struct Commit {
    object: ObjectKey,
    batch: Batch,
    answer: oneshot::Sender<Result<()>>,
}

/// Why nothing of a group was stored.
struct Failure {
    /// Whose statements failed; `None` if it was the transaction's own.
    at: Option<usize>,
    error: rusqlite::Error,
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

    pub(super) async fn commit(&self, object: ObjectKey, batch: Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let commit = |answer| Commit {
            object,
            batch,
            answer,
        };
        self.0.ask(commit).await?
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
    fn work(&mut self, mut queue: UnboundedReceiver<Commit>) {
        while let Some(first) = queue.blocking_recv() {
            let (mut group, mut size) = (Vec::new(), 0);
            let mut next = Some(first);
            while let Some(commit) = next {
                // Whoever dropped the call does not want it any more.
                if !commit.answer.is_closed() {
                    size += commit.batch.bytes();
                    group.push(commit);
                }
                let room = group.len() < GROUP && size < GROUP_BYTES;
                next = room.then(|| queue.try_recv().ok()).flatten();
            }
            self.settle(group);
            self.log.committed(&self.connection);
        }
    }

    /// Commits what can be, and answers everyone.
    fn settle(&mut self, group: Vec<Commit>) {
        let mut groups = vec![group];
        while let Some(mut group) = groups.pop() {
            let Err(failure) = self.transaction(&group) else {
                group.into_iter().for_each(|commit| commit.answer(Ok(())));
                continue;
            };
            let error = Arc::new(failure.error);
            let failed = |commit: Commit| {
                commit.answer(Err(self.place.failed("commit to", Arc::clone(&error))));
            };
            match failure.at {
                // The others are tried again, without it. No savepoints: a full disk
                // makes SQLite undo the whole transaction all the same.
                Some(at) => {
                    groups.push(group.split_off(at + 1));
                    group.pop().into_iter().for_each(failed);
                    groups.push(group);
                }
                None => group.into_iter().for_each(failed),
            }
        }
    }

    /// Stores all of the group, or nothing.
    fn transaction(&mut self, group: &[Commit]) -> Result<(), Failure> {
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
        let whole = |error| Failure { at: None, error };
        self.execute("BEGIN IMMEDIATE").map_err(whole)?;
        for (at, (commit, class)) in group.iter().zip(classes).enumerate() {
            let applied = apply(&self.connection, *class, &commit.object.id, &commit.batch);
            applied.map_err(|error| Failure {
                at: Some(at),
                error,
            })?;
        }
        self.execute("COMMIT").map_err(whole)
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

impl Commit {
    fn answer(self, result: Result<()>) {
        // The call may have been dropped meanwhile.
        let _ = self.answer.send(result);
    }
}
