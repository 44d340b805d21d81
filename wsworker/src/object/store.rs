//! Where one object's state is: with that of all others in the shared storage or, if its
//! class has SQL, in a database of its own.
//! Does not know events' effects; `gate` says when to commit.
//!
//! Of an object with SQL the shared storage holds only a hint of its alarm, which tells
//! when to look. It is never later than the alarm: while a commit is in doubt it is the
//! earlier of both, and is corrected when that is known. So a crash at any moment
//! makes an alarm neither late nor lost, but perhaps looked at in vain.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::error::{Error, Result};
use crate::guard::log;
use crate::storage::{
    Alarm, AlarmChange, Batch, Closable, HINT, Key, ObjectDatabase, ObjectKey, Range, SqlQuery,
    SqlRows, SqlValue, Storage,
};

/// The state of one object.
pub(super) struct Store {
    storage: Arc<Closable>,
    key: ObjectKey,
    /// If its class has SQL.
    own: Option<Box<Own>>,
    /// Without SQL: it is known that there is no database with its state.
    checked: AtomicBool,
}

/// The object's own database, open or not.
struct Own {
    opened: AsyncMutex<Option<Opened>>,
    /// SQL of the running event may have begun a transaction.
    open: AtomicBool,
    /// Every table is to go before anything else is done.
    clear: AtomicBool,
    /// Which event runs, and until when it may.
    event: AtomicU64,
    deadline: Mutex<Instant>,
}

struct Opened {
    database: Box<dyn ObjectDatabase>,
    alarm: Option<Alarm>,
    /// What the shared storage says of it.
    hint: Option<u64>,
}

impl Store {
    pub(super) fn new(storage: &Arc<Closable>, key: &ObjectKey, sql: bool) -> Self {
        let own = || {
            Box::new(Own {
                opened: AsyncMutex::default(),
                open: AtomicBool::new(false),
                clear: AtomicBool::new(false),
                event: AtomicU64::new(0),
                deadline: Mutex::new(Instant::now()),
            })
        };
        Self {
            storage: storage.clone(),
            key: key.clone(),
            own: sql.then(own),
            checked: AtomicBool::new(false),
        }
    }

    /// Has its class SQL? Then it commits one event at a time.
    #[inline]
    pub(super) fn has_sql(&self) -> bool {
        self.own.is_some()
    }

    // Keys and the alarm.

    pub(super) async fn get(&self, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        match &self.own {
            None => self.shared().await?.get(&self.key, keys).await,
            Some(own) => self.open(own).await?.get().database.get(keys).await,
        }
    }

    pub(super) async fn list(&self, range: Range) -> Result<Vec<(Key, Bytes)>> {
        match &self.own {
            None => self.shared().await?.list(&self.key, range).await,
            Some(own) => self.open(own).await?.get().database.list(range).await,
        }
    }

    pub(super) async fn alarm(&self) -> Result<Option<Alarm>> {
        match &self.own {
            None => self.shared().await?.alarm(&self.key).await,
            Some(own) => Ok(self.open(own).await?.get().alarm),
        }
    }

    /// The alarm for which this one stands in the shared storage, if it is due.
    pub(super) async fn due(&self, listed: Alarm, now: u64) -> Result<Option<Alarm>> {
        let opened = match &self.own {
            Some(own) => self.open(own).await.map(Some),
            None => self.check_shared().await.map(|()| None),
        };
        let mut opened = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(Some(listed)),
            Err(error) => {
                // Others must not wait for it, nor the log be full of it.
                let at = now.saturating_add(LOOK_AGAIN);
                let later = Batch::of_alarm(AlarmChange::Set(Alarm { at, ..listed }));
                self.storage.commit(&self.key, later).await?;
                return Err(error);
            }
        };
        let opened = opened.get();
        let due = opened.alarm.filter(|alarm| alarm.at <= now);
        if due.is_none() {
            // Whatever was thought of it.
            opened.hint = Some(listed.at);
            self.hint(opened, at(opened.alarm)).await?;
        }
        Ok(due)
    }

    // SQL.

    /// An event begins, after the commits of those before it. What one has left that
    /// never ended is undone.
    pub(super) async fn begin(&self, time: Duration) {
        let Some(own) = &self.own else {
            return;
        };
        own.event.fetch_add(1, Ordering::AcqRel);
        let deadline = Instant::now() + time;
        *own.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
        self.rollback().await;
    }

    /// Has the event's SQL perhaps written?
    pub(super) fn is_open(&self) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| own.open.load(Ordering::Acquire))
    }

    pub(super) async fn query(
        &self,
        sql: &str,
        params: Vec<SqlValue>,
        max_bytes: usize,
    ) -> Result<SqlRows> {
        let own = self.own()?;
        let event = own.event.load(Ordering::Acquire);
        let mut opened = self.open(own).await?;
        if own.event.load(Ordering::Acquire) != event {
            return Err(Error::new("the event in which this SQL began has ended"));
        }
        let deadline = *own.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        // Also if it is dropped or fails: its commit says whether all is well.
        own.open.store(true, Ordering::Release);
        let database = &opened.get().database;
        clear(own, &**database).await?;
        let query = SqlQuery {
            sql: sql.to_owned(),
            params,
            max_bytes,
            deadline,
        };
        let rows = database.query(query).await?;
        own.open.store(rows.in_transaction, Ordering::Release);
        Ok(rows)
    }

    pub(super) async fn size(&self) -> Result<u64> {
        self.open(self.own()?).await?.get().database.size().await
    }

    /// Every table goes, with this event's commit.
    pub(super) fn clear_tables(&self) {
        if let Some(own) = &self.own {
            own.clear.store(true, Ordering::Release);
        }
    }

    // The end of an event.

    /// Makes a batch durable, with what the event's SQL has done. The batches of objects
    /// without SQL go to the shared storage together.
    pub(super) async fn commit(&self, batch: Batch) -> Result<()> {
        let own = self.own()?;
        let mut guard = self.open(own).await?;
        let opened = guard.get();
        let after = match batch.alarm {
            Some(AlarmChange::Set(alarm)) => Some(alarm),
            Some(AlarmChange::Delete) => None,
            None => opened.alarm,
        };
        let committed = self.try_commit(own, opened, batch, after).await;
        own.open.store(false, Ordering::Release);
        own.clear.store(false, Ordering::Release);
        match &committed {
            Ok(()) => opened.alarm = after,
            // Which of both it is only the database knows.
            Err(_) => match undone(&*opened.database).await {
                Ok(alarm) => opened.alarm = alarm,
                Err(_) => {
                    guard.close();
                    return committed;
                }
            },
        }
        if let Err(error) = self.hint(opened, at(opened.alarm)).await {
            let what = format!("{} has an alarm that will be looked at too early", self.key);
            log(&what, &error);
        }
        committed
    }

    async fn try_commit(
        &self,
        own: &Own,
        opened: &mut Opened,
        batch: Batch,
        after: Option<Alarm>,
    ) -> Result<()> {
        self.hint_not_after(opened, at(after)).await?;
        clear(own, &*opened.database).await?;
        opened.database.commit(batch).await
    }

    /// Undoes what the event's SQL has done.
    pub(super) async fn rollback(&self) {
        let Some(own) = &self.own else {
            return;
        };
        own.clear.store(false, Ordering::Release);
        if !own.open.load(Ordering::Acquire) {
            return;
        }
        let mut opened = own.opened.lock().await;
        if let Some(Opened { database, .. }) = &*opened
            && database.rollback().await.is_err()
        {
            // Closing it does the same.
            *opened = None;
        }
        own.open.store(false, Ordering::Release);
    }

    /// Closes the object's own database, if nobody uses it.
    pub(super) fn close(&self) {
        if let Some(own) = &self.own
            && let Ok(mut opened) = own.opened.try_lock()
        {
            *opened = None;
            own.open.store(false, Ordering::Release);
        }
    }

    // The two places.

    /// # Errors
    /// Its class has no SQL.
    pub(super) fn check_sql(&self) -> Result<()> {
        self.own().map(drop)
    }

    fn own(&self) -> Result<&Own> {
        self.own.as_deref().ok_or_else(|| {
            let class = &self.key.class;
            Error::config(format!(
                "the class '{class}' has no SQL: write `#[durable_object(sql)]` on its struct"
            ))
        })
    }

    /// The shared storage, for a class without SQL.
    async fn shared(&self) -> Result<&dyn Storage> {
        self.check_shared().await?;
        Ok(&*self.storage)
    }

    /// # Errors
    /// The object's state is not in the shared storage: its class had SQL once.
    pub(super) async fn check_shared(&self) -> Result<()> {
        if !self.checked.load(Ordering::Acquire) {
            if self.storage.has_database(&self.key).await? {
                let message = format!(
                    "object {} was stored with SQL, and its class has none now: write \
                     `#[durable_object(sql)]` again, or give the class another name",
                    self.key
                );
                return Err(Error::storage(message, None));
            }
            self.checked.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// The object's own database, opened if need be.
    async fn open<'a>(&self, own: &'a Own) -> Result<Guard<'a>> {
        let mut opened = own.opened.lock().await;
        if opened.is_none() {
            *opened = Some(self.open_first().await?);
        }
        Ok(Guard(opened))
    }

    async fn open_first(&self) -> Result<Opened> {
        let first = Range {
            limit: 1,
            ..Range::ALL
        };
        let stored = self.storage.list(&self.key, first).await?;
        let hint = self.storage.alarm(&self.key).await?;
        if !stored.is_empty() || hint.is_some_and(|hint| hint.retries != HINT) {
            let message = format!(
                "object {} was stored without SQL, and its class has `sql` now: take the option \
                 away, or give the class another name",
                self.key
            );
            return Err(Error::storage(message, None));
        }
        let database = self.storage.open_database(&self.key).await?;
        let mut opened = Opened {
            alarm: database.alarm().await?,
            database,
            hint: at(hint),
        };
        self.hint_not_after(&mut opened, None).await?;
        Ok(opened)
    }

    /// Makes the hint no later than the alarm, and what it is to be.
    async fn hint_not_after(&self, opened: &mut Opened, next: Option<u64>) -> Result<()> {
        let times = [at(opened.alarm), next, opened.hint];
        self.hint(opened, times.into_iter().flatten().min()).await
    }

    async fn hint(&self, opened: &mut Opened, at: Option<u64>) -> Result<()> {
        if opened.hint == at {
            return Ok(());
        }
        let change = match at {
            Some(at) => AlarmChange::Set(Alarm { at, retries: HINT }),
            None => AlarmChange::Delete,
        };
        let hint = Batch::of_alarm(change);
        self.storage.commit(&self.key, hint).await?;
        opened.hint = at;
        Ok(())
    }
}

/// Nobody else does anything with the database meanwhile.
struct Guard<'a>(MutexGuard<'a, Option<Opened>>);

impl Guard<'_> {
    fn get(&mut self) -> &mut Opened {
        self.0.as_mut().expect("it was opened with the guard")
    }

    fn close(mut self) {
        *self.0 = None;
    }
}

/// Clears the tables, if that is to be done.
async fn clear(own: &Own, database: &dyn ObjectDatabase) -> Result<()> {
    if own.clear.load(Ordering::Acquire) {
        database.clear_tables().await?;
        own.clear.store(false, Ordering::Release);
    }
    Ok(())
}

/// The alarm that stays when a commit has failed.
async fn undone(database: &dyn ObjectDatabase) -> Result<Option<Alarm>> {
    database.rollback().await?;
    database.alarm().await
}

fn at(alarm: Option<Alarm>) -> Option<u64> {
    alarm.map(|alarm| alarm.at)
}

/// Milliseconds until the alarm of an object that cannot be opened is looked at again.
const LOOK_AGAIN: u64 = 60_000;
