//! A database for one object, with SQL: a file of its own, or memory for tests.
//! Does not decide when it is opened or committed; whoever has the object does.
//!
//! `file` opens it, `session` is its transaction, `entries` its keys and alarm; `query`
//! runs SQL, which `split` takes apart and `guard` watches. `backup` copies many.

pub(super) mod backup;
mod entries;
mod file;
mod guard;
mod query;
mod session;
mod split;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{self, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

pub(super) use self::file::{DIRECTORY, has_databases};
use super::database::Place;
use super::threads::Threads;
use crate::error::{Error, Result};
use crate::storage::{Alarm, Batch, Key, ObjectDatabase, ObjectKey, Range, SqlQuery, SqlRows};

pub(in crate::storage) use self::session::Session;

type Job = Box<dyn FnOnce() + Send>;

/// Who works on the databases. Its end waits for what they do, and breaks off SQL.
struct Pool {
    closing: Arc<AtomicBool>,
    threads: Threads<Job>,
}

/// The objects of a storage that have files, and the threads that work on them.
pub(super) struct Owns {
    place: Arc<Place>,
    state: Mutex<State>,
    /// For so many more to be open at once.
    room: Arc<Semaphore>,
    most: usize,
}

#[derive(Default)]
struct State {
    /// Started with the first.
    pool: Option<Arc<Pool>>,
    /// Those with files, by the names of their directories.
    classes: HashSet<PathBuf>,
}

/// One object's database, open. What is done to it is done in the order of the calls.
pub(in crate::storage) struct Own {
    /// `None` while it is dropped.
    session: Option<Arc<sync::Mutex<Session>>>,
    /// `None`: it is in memory, and nothing blocks.
    threads: Option<(Arc<Pool>, Arc<Place>)>,
    /// Its part of what may be open.
    room: Option<OwnedSemaphorePermit>,
}

impl Owns {
    pub(super) fn new(place: &Arc<Place>) -> Result<Self> {
        Self::with_room(place, most_open())
    }

    /// With so many open at once, at most.
    pub(super) fn with_room(place: &Arc<Place>, most: usize) -> Result<Self> {
        let classes = file::classes(place)?;
        Ok(Self {
            room: Arc::new(Semaphore::new(most)),
            most,
            place: Arc::clone(place),
            state: Mutex::new(State {
                pool: None,
                classes,
            }),
        })
    }

    pub(super) async fn open(&self, object: &ObjectKey) -> Result<Own> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| Error::too_many_databases(self.most))?;
        let pool = self.pool()?;
        let file = file::path(&self.place, object);
        self.state()
            .classes
            .extend(file.parent().map(PathBuf::from));
        let (object, place) = (object.clone(), Arc::clone(&self.place));
        let closing = Arc::clone(&pool.closing);
        let open = move || {
            let session = Session::open(&file, &object, closing)?;
            Ok(Arc::new(sync::Mutex::new(session)))
        };
        let session = on(&pool, open).await?;
        Ok(Own {
            session: Some(session),
            threads: Some((pool, place)),
            room: Some(room),
        })
    }

    pub(super) async fn has(&self, object: &ObjectKey) -> Result<bool> {
        let file = file::path(&self.place, object);
        let class = file.parent().unwrap_or(&file);
        if !self.state().classes.contains(class) {
            return Ok(false);
        }
        let pool = self.pool()?;
        on(&pool, move || Ok(file.exists())).await
    }

    fn pool(&self) -> Result<Arc<Pool>> {
        let mut state = self.state();
        if let Some(pool) = &state.pool {
            return Ok(Arc::clone(pool));
        }
        let cores = thread::available_parallelism().map_or(MIN_THREADS, usize::from);
        let threads = cores.clamp(MIN_THREADS, MAX_THREADS);
        let pool = Pool {
            closing: Arc::default(),
            threads: Threads::shared("sql", vec![|job: Job| job(); threads])?,
        };
        Ok(Arc::clone(state.pool.insert(Arc::new(pool))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    /// One that is in memory, and stays there in this session. What an earlier one
    /// left undone is undone.
    pub(in crate::storage) async fn in_memory(session: Arc<sync::Mutex<Session>>) -> Result<Self> {
        session.lock().await.rollback()?;
        Ok(Self {
            session: Some(session),
            threads: None,
            room: None,
        })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let session = self.session.clone().expect("only dropping takes it");
        let mut session: OwnedMutexGuard<_> = session.lock_owned().await;
        match &self.threads {
            None => work(&mut session),
            // The guard goes along: the next call waits, and no thread does.
            Some((pool, _)) => on(pool, move || work(&mut session)).await,
        }
    }
}

/// Does it on one of the threads.
async fn on<T: Send + 'static>(
    pool: &Pool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let job = |answer: sync::oneshot::Sender<_>| -> Job {
        Box::new(move || {
            let _ = answer.send(work());
        })
    };
    pool.threads.ask(job).await?
}

#[async_trait]
impl ObjectDatabase for Own {
    async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        self.run(move |session| session.get(&keys)).await
    }

    async fn list(&self, range: Range) -> Result<Vec<(Key, Bytes)>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.run(move |session| session.list(&range)).await
    }

    async fn alarm(&self) -> Result<Option<Alarm>> {
        self.run(|session| session.alarm()).await
    }

    async fn query(&self, query: SqlQuery) -> Result<SqlRows> {
        self.run(move |session| session.query(&query)).await
    }

    async fn clear_tables(&self) -> Result<()> {
        self.run(Session::clear_tables).await
    }

    async fn size(&self) -> Result<u64> {
        self.run(|session| session.size()).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.run(move |session| session.commit(&batch)).await
    }

    async fn rollback(&self) -> Result<()> {
        self.run(Session::rollback).await
    }
}

/// Closing takes the log into the file: on a thread that may wait for that. The
/// directory stays locked until then.
impl Drop for Own {
    fn drop(&mut self) {
        if let Some((pool, place)) = self.threads.take() {
            let (session, room) = (self.session.take(), self.room.take());
            pool.threads.push(Box::new(move || {
                drop(session);
                drop(room);
                drop(place);
            }));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Before the threads are waited for.
        self.closing.store(true, Ordering::Release);
    }
}

/// Each takes three of the files that the process may open, and half of all are left to
/// connections.
fn most_open() -> usize {
    #[cfg(unix)]
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let files = None::<u64>;
    let most = files.map_or(usize::MAX, |files| {
        usize::try_from(files / 6).unwrap_or(usize::MAX)
    });
    most.clamp(1, Semaphore::MAX_PERMITS)
}

/// Few objects' statements run at once; each may take as long as an event.
const MIN_THREADS: usize = 4;
const MAX_THREADS: usize = 16;
