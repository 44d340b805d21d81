//! Threads that work through a queue and end with it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// A queue and who works through it. Dropping it waits until that is done.
///
/// The queue is as long as there are callers that wait for an answer, and each of them
/// holds what it asks for anyway. A limit would let one that is not polled keep all
/// those behind it out.
pub(super) struct Threads<Job> {
    /// `None` while it is dropped.
    queue: Option<UnboundedSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl<Job: Send + 'static> Threads<Job> {
    /// One thread that has the queue's end.
    pub(super) fn one(
        name: &str,
        work: impl FnOnce(UnboundedReceiver<Job>) + Send + 'static,
    ) -> Result<Self> {
        let (queue, jobs) = unbounded_channel();
        let threads = vec![spawn(name, move || work(jobs))?];
        Ok(Self {
            queue: Some(queue),
            threads,
        })
    }

    /// A thread for each worker; a job is done by whichever is free.
    pub(super) fn shared<Work>(name: &str, workers: Vec<Work>) -> Result<Self>
    where
        Work: FnMut(Job) + Send + 'static,
    {
        let (queue, jobs) = unbounded_channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Self {
            queue: Some(queue),
            threads: Vec::new(),
        };
        for mut work in workers {
            let jobs = Arc::clone(&jobs);
            let next = move || {
                let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.blocking_recv()
            };
            threads.threads.push(spawn(name, move || {
                while let Some(job) = next() {
                    work(job);
                }
            })?);
        }
        Ok(threads)
    }

    /// Has a job done whose end nobody waits for.
    pub(super) fn push(&self, job: Job) {
        let queue = self.queue.as_ref().expect("only dropping closes it");
        // Without threads there is nobody to do it.
        let _ = queue.send(job);
    }

    /// Has a job done that gives an answer. It is in the queue from the first poll on.
    pub(super) async fn ask<Answer>(
        &self,
        job: impl FnOnce(oneshot::Sender<Answer>) -> Job,
    ) -> Result<Answer> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().expect("only dropping closes it");
        queue.send(job(answer)).map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }
}

impl<Job> Drop for Threads<Job> {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = Builder::new().name(format!("storage-{name}"));
    thread.spawn(work).map_err(|error| {
        let message = format!("cannot start the storage's thread for {name}");
        Error::storage(message, Some(error.into()))
    })
}

/// For a thread that panicked.
pub(super) fn ended() -> Error {
    Error::storage("the storage's thread has ended", None)
}
