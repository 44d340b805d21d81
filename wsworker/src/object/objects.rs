//! Everything of a server's objects that is not one object: the classes, the storage,
//! and the tasks that wake and put to sleep.
//! Does not know objects' code.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use super::alarm;
use super::class::{AnyClass, ClassOf, DurableObject, Registration};
use super::core::Core;
use super::waits::Waits;
use crate::env::{Env, WeakEnv};
use crate::error::{Error, Result};
use crate::guard::{guarded, log};
use crate::storage::{Closable, Storage};

/// A server's objects. Its `Env` keeps it.
pub(crate) struct Objects {
    pub(super) shared: Arc<Shared>,
    by_type: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    pub(super) by_name: HashMap<&'static str, Arc<dyn AnyClass>>,
}

/// What all objects of a server share.
pub(super) struct Shared {
    pub(super) storage: Arc<Closable>,
    pub(super) env: WeakEnv,
    pub(super) waits: Waits,
    /// Rung when an alarm has changed.
    pub(super) alarms: Notify,
    epoch: Instant,
    /// The same moment in milliseconds since the Unix epoch.
    began: u64,
    /// Commits under way, and work that events have started.
    busy: AtomicUsize,
    calm: Notify,
    /// Objects that may be idle, by when they are to be looked at.
    idle: Mutex<BTreeMap<Due, Weak<Core>>>,
    drowsy: Notify,
}

/// When an object is to be looked at, and which: by where it lies.
type Due = (Instant, usize);

/// A commit under way, or work that an event has started.
pub(super) struct Busy(Arc<Shared>);

impl Objects {
    /// Puts objects of these classes into `env`, if there are any.
    ///
    /// # Errors
    /// Two classes have one name; one has SQL, and the storage has not.
    pub(crate) fn install(
        env: &Env,
        classes: &[Registration],
        storage: Arc<dyn Storage>,
    ) -> Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            storage: Arc::new(Closable::new(storage)),
            env: env.downgrade(),
            waits: Waits::default(),
            alarms: Notify::new(),
            epoch: Instant::now(),
            began: alarm::millis(SystemTime::now()),
            busy: AtomicUsize::new(0),
            calm: Notify::new(),
            idle: Mutex::default(),
            drowsy: Notify::new(),
        });
        let mut objects = Self {
            shared,
            by_type: HashMap::new(),
            by_name: HashMap::new(),
        };
        for class in classes {
            objects.add(class)?;
        }
        let objects = Arc::new(objects);
        env.extend(objects.clone());
        Ok(objects)
    }

    fn add(&mut self, class: &Registration) -> Result<()> {
        let type_id = (class.type_id)();
        if self.by_type.contains_key(&type_id) {
            // Said twice, as by the worker and by the server.
            return Ok(());
        }
        if self.by_name.contains_key(class.name) {
            return Err(Error::config(format!(
                "two classes of Durable Objects have the name '{}': give one another, \
                 #[durable_object(name = \"…\")]",
                class.name
            )));
        }
        if class.sql && !self.shared.storage.has_sql() {
            return Err(Error::config(format!(
                "the class '{}' has `sql`, and the server's storage has no SQL",
                class.name
            )));
        }
        let (typed, any) = (class.make)(&self.shared);
        self.by_type.insert(type_id, typed);
        self.by_name.insert(class.name, any);
        Ok(())
    }

    /// The objects of this server, if it has any.
    pub(super) fn of(env: &Env) -> Option<&Self> {
        env.extension()?.downcast_ref()
    }

    pub(super) fn class<T: DurableObject>(&self) -> Option<Arc<ClassOf<T>>> {
        let class = self.by_type.get(&TypeId::of::<T>())?;
        class.clone().downcast().ok()
    }

    /// Fires alarms and lets idle objects hibernate, for as long as the tasks are
    /// there.
    pub(crate) fn run(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let (alarms, idle) = (self.clone(), self.shared.clone());
        tasks.spawn(async move { kept_up("alarms", || alarm::run(&alarms)).await });
        tasks.spawn(async move { kept_up("hibernation", || idle.hibernate()).await });
    }

    /// How much is being committed, and how much work of events goes on.
    pub(crate) fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::Acquire)
    }

    /// Waits until nothing is being committed, and no work goes on that an event started.
    pub(crate) async fn settle(&self) {
        loop {
            let calm = self.shared.calm.notified();
            if self.busy() == 0 {
                return;
            }
            calm.await;
        }
    }

    /// Lets every object go that has nothing to do, and then the storage, whoever still
    /// has one of the objects' sockets. Waits for its end.
    pub(crate) async fn close(&self) {
        for class in self.by_name.values() {
            class.hibernate();
            class.clear();
        }
        let storage = self.shared.storage.close();
        // It may wait for a disk.
        let _ = spawn_blocking(move || drop(storage)).await;
    }

    /// Copies all that is stored to a new file.
    ///
    /// # Errors
    /// There are no objects; or the storage's.
    pub(crate) async fn backup(objects: Option<&Self>, path: &Path) -> Result<()> {
        match objects {
            Some(objects) => objects.shared.storage.backup_to(path).await,
            None => Err(Error::config("there is no class of objects to back up")),
        }
    }

    /// How many objects are in memory, awake or hibernating.
    pub(crate) fn len(&self) -> usize {
        self.by_name.values().map(|class| class.len()).sum()
    }
}

impl Env {
    /// Copies the state of all Durable Objects at one moment into a new file, while the
    /// server goes on: as [`ServerHandle::backup`](crate::ServerHandle::backup), for a worker
    /// under [`run`](crate::run). It is for whoever may: ask for a secret before.
    ///
    /// ```
    /// # use wsworker::prelude::*;
    /// # fn may(req: &Request, env: &Env) -> bool { true }
    /// # async fn fetch(req: Request, env: &Env) -> Result<Response> {
    /// if req.path() == "/backup" && may(&req, env) {
    ///     env.backup("backups/monday.db").await?;
    ///     return Ok(Response::text("done"));
    /// }
    /// # Ok(Response::text("")) }
    /// ```
    ///
    /// # Errors
    /// As of `ServerHandle::backup`.
    pub async fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        Objects::backup(Objects::of(self), path.as_ref()).await
    }
}

impl Shared {
    /// Milliseconds of its own clock.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since the Unix epoch; never backwards. It goes with tokio's
    /// clock, which tests may advance, and with the system's, which may be set.
    pub(super) fn unix_now(&self) -> u64 {
        alarm::millis(SystemTime::now()).max(self.began + self.now())
    }

    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(self.clone())
    }

    /// The object may be idle after that time.
    pub(super) fn look_later(&self, core: &Arc<Core>, after: Duration) {
        let due = (Instant::now() + after, Arc::as_ptr(core).addr());
        let first = {
            let mut idle = self.idle();
            idle.insert(due, Arc::downgrade(core));
            idle.first_key_value()
                .is_some_and(|(first, _)| *first == due)
        };
        if first {
            self.drowsy.notify_one();
        }
    }

    async fn hibernate(&self) {
        loop {
            let first = self.idle().first_key_value().map(|((due, _), _)| *due);
            match first {
                None => self.drowsy.notified().await,
                Some(due) if due > Instant::now() => {
                    let _ = timeout_at(due, self.drowsy.notified()).await;
                }
                Some(_) => self.look(),
            }
        }
    }

    fn look(&self) {
        let Some((_, core)) = self.idle().pop_first() else {
            return;
        };
        let Some(core) = core.upgrade() else {
            return;
        };
        let Some(owner) = core.owner() else {
            return;
        };
        core.listed.store(false, Ordering::Release);
        let idle = owner.hibernate_after();
        let since =
            Duration::from_millis(self.now().saturating_sub(core.used.load(Ordering::Relaxed)));
        let again = match idle.checked_sub(since) {
            Some(left) if !left.is_zero() => Some(left),
            _ => owner.hibernate().then_some(idle),
        };
        if let Some(again) = again
            && !core.listed.swap(true, Ordering::AcqRel)
        {
            self.look_later(&core, again);
        }
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<Due, Weak<Core>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what never ends, again if it panics, as in a user's storage.
async fn kept_up<F: Future>(what: &str, run: impl Fn() -> F) {
    while let Err(error) = guarded(&run).await {
        log(&format!("{what} broke off, and go on"), &error);
        sleep(PAUSE).await;
    }
}

/// Before it runs again.
const PAUSE: Duration = Duration::from_secs(2);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.calm.notify_waiters();
        }
    }
}
