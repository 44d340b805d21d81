//! Alarms: when they are due, and what follows when one fails.
//! Does not store them; they are part of an object's commits.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::DurableObject;
use super::cell::Cell;
use super::core::Core;
use super::objects::Objects;
use crate::error::{Error, Result};
use crate::guard::log;
use crate::log::warn;
use crate::storage::{Alarm, AlarmChange, ObjectKey, Storage as _};

/// What an object is told with its alarm.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AlarmInfo {
    /// How often it was tried before and failed: 0 the first time.
    pub retries: u32,
}

impl AlarmInfo {
    /// Was it tried before?
    pub fn is_retry(&self) -> bool {
        self.retries > 0
    }
}

/// The object's alarm, with what is not durable yet.
pub(super) async fn of(core: &Core) -> Result<Option<Alarm>> {
    match core.unsettled().alarm {
        Some(AlarmChange::Set(alarm)) => Ok(Some(alarm)),
        Some(AlarmChange::Delete) => Ok(None),
        None => core.store.alarm().await,
    }
}

/// Fires one alarm that is due.
pub(super) async fn fire<T: DurableObject>(cell: &Cell<T>, listed: Alarm) -> Result<()> {
    let due = cell
        .core
        .store
        .due(listed, cell.core.shared.unix_now())
        .await;
    cell.touch();
    let Some(alarm) = due? else {
        return Ok(());
    };
    let retries = alarm.retries;
    let fired = match cell.alarm(alarm).await {
        Ok(Some(settled)) => settled.wait().await,
        // Changed in between.
        Ok(None) => return Ok(()),
        Err(error) => Err(error),
    };
    let Err(error) = fired else {
        return Ok(());
    };
    let key = &cell.core.key;
    if retries >= RETRIES {
        log(
            &format!(
                "the alarm of {key} failed {} times and is dropped",
                retries + 1
            ),
            &error,
        );
        return cell.change_alarm(alarm, AlarmChange::Delete).await;
    }
    log(
        &format!("the alarm of {key} failed and is tried again"),
        &error,
    );
    let again = Alarm {
        at: cell.core.shared.unix_now() + delay(retries)?,
        retries: retries + 1,
    };
    cell.change_alarm(alarm, AlarmChange::Set(again)).await
}

/// Milliseconds until the next try: 2 s, doubled each time, with up to half of it added.
fn delay(retries: u32) -> Result<u64> {
    let base = FIRST_DELAY << retries;
    let random = getrandom::u64().map_err(|e| Error::io("no random bytes", e.into()))?;
    Ok(base + random % (base / 2))
}

/// Fires every alarm when it is due.
pub(super) async fn run(objects: &Arc<Objects>) {
    let firing = Arc::new(Mutex::new(HashSet::<ObjectKey>::new()));
    let places = Arc::new(Semaphore::new(AT_ONCE));
    // On a storage that cannot tell now they are reported when they are due.
    let classes = objects.shared.storage.alarm_classes().await;
    let mut reported = HashSet::new();
    for class in classes.unwrap_or_default() {
        if !objects.by_name.contains_key(&*class) {
            report(&class, &mut reported);
        }
    }
    let mut look_ahead = LOOK_AHEAD;
    loop {
        let changed = objects.shared.alarms.notified();
        let mut next = IDLE;
        let first = objects.shared.storage.alarms(look_ahead).await;
        let first = first.unwrap_or_else(|error| {
            log("the alarms cannot be read, tried again", &error);
            next = Duration::from_millis(FIRST_DELAY);
            Vec::new()
        });
        let (seen, mut fired) = (first.len(), 0);
        for (key, alarm) in first {
            let left = Duration::from_millis(alarm.at.saturating_sub(objects.shared.unix_now()));
            if !left.is_zero() {
                next = next.min(left);
                break;
            }
            let Some(class) = objects.by_name.get(&*key.class) else {
                report(&key.class, &mut reported);
                continue;
            };
            if !lock(&firing).insert(key.clone()) {
                continue;
            }
            fired += 1;
            let place = places.clone().acquire_owned().await;
            let (class, firing) = (class.clone(), firing.clone());
            let objects = Arc::downgrade(objects);
            let firing = Firing { all: firing, key };
            tokio::spawn(async move {
                let stored = class.fire(firing.key.id, alarm).await;
                drop(place);
                if !stored {
                    // It is due as it was: a storage that fails is not asked at once again.
                    sleep(Duration::from_millis(FIRST_DELAY)).await;
                }
                drop(firing);
                if let Some(objects) = objects.upgrade() {
                    objects.shared.alarms.notify_one();
                }
            });
        }
        // Those that nobody can fire, or that run, must not hide those behind them.
        let hidden = seen == look_ahead && next == IDLE;
        look_ahead = match hidden {
            true if fired == 0 => look_ahead * 2,
            true => look_ahead,
            false => LOOK_AHEAD,
        };
        if hidden {
            continue;
        }
        // Either is a reason to look again.
        let _ = timeout(next, changed).await;
    }
}

/// Says once that nobody can fire the alarms of this class.
fn report(class: &Arc<str>, reported: &mut HashSet<Arc<str>>) {
    if reported.insert(class.clone()) {
        warn(&format!(
            "objects of the class '{class}' have alarms, and it is not registered: they are kept"
        ));
    }
}

/// An object whose alarm runs; others of it wait.
struct Firing {
    all: Arc<Mutex<HashSet<ObjectKey>>>,
    key: ObjectKey,
}

impl Drop for Firing {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.key);
    }
}

/// The time that a user gave, in milliseconds since the Unix epoch.
pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a failed alarm is tried again.
const RETRIES: u32 = 6;
/// Milliseconds before the first.
const FIRST_DELAY: u64 = 2000;
/// Alarms that run at once.
const AT_ONCE: usize = 256;
/// Alarms that are read at once. Of classes that nobody registered there may be many.
const LOOK_AHEAD: usize = 1024;
/// How long it sleeps without any.
const IDLE: Duration = Duration::from_secs(60);
