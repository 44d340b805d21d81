//! What every storage must hold, as checks that any implementation can run.
//! Knows none of them.
//!
//! ```
//! use wsworker::storage::{MemoryStorage, suite};
//!
//! # /*
//! #[tokio::test]
//! # */
//! # #[tokio::main(flavor = "current_thread")]
//! async fn memory_holds() {
//!     suite::check(async || MemoryStorage::new()).await;
//! }
//! # memory_holds();
//! ```
//!
//! One that outlives its process runs [`persistent`] too.
//!
//! Each line of [`Storage`]'s "Must hold" is checked, and of
//! [`ObjectDatabase`](super::ObjectDatabase)'s where there is SQL, as far as that can be seen from
//! within a process. What cannot: that a loss of power or a kill takes nothing, that a
//! failed commit leaves nothing (only the storage's own tests can make one fail), and
//! that no call blocks its thread.

mod alarms;
mod calls;
mod objects;
mod ranges;
mod refused;
mod reopened;
mod sql;
mod values;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Alarm, AlarmChange, Batch, Key, ObjectKey, Range, Storage};

/// Calls each of these checks with a storage of its own.
macro_rules! checks {
    ($storage:expr, $($module:ident: $($check:ident)*;)*) => {$($({
        let running = Running(stringify!($check));
        $module::$check($storage).await;
        drop(running);
    })*)*};
}

/// Runs the checks, each with an empty storage that `empty` gives. Takes some seconds
/// where a commit takes a millisecond.
///
/// # Panics
/// If a check fails; the check's name goes to standard error.
pub async fn check<S: Storage>(empty: impl AsyncFn() -> S) {
    checks! {
        Arc::new(empty().await) as Shared,
        values:
            nothing_is_there_at_first
            what_was_written_is_read
            keys_and_values_are_any_bytes
            writes_replace_and_delete
            a_clear_goes_first_and_leaves_the_alarm
            merged_batches_do_what_they_did_apart
            a_batch_may_be_large
            an_empty_batch_does_nothing;
        objects:
            objects_are_apart
            classes_are_apart
            clearing_one_clears_no_other;
        ranges:
            every_range_is_what_it_says
            ranges_end_at_the_object
            a_range_may_be_long;
        alarms:
            an_alarm_is_set_replaced_and_deleted
            alarms_come_by_their_time
            any_time_may_be_set
            classes_with_alarms_are_known
            alarms_at_one_time_all_come;
        calls:
            commits_apply_in_the_order_of_calls
            commits_of_many_objects_may_be_called_as_one
            what_a_commit_stored_is_seen_at_once
            nothing_is_seen_in_part
            many_objects_commit_at_once
            any_thread_and_runtime_may_call
            a_dropped_commit_happens_as_a_whole_or_not
            dropped_reads_do_no_harm;
    }
    if !empty().await.has_sql() {
        return;
    }
    checks! {
        Arc::new(empty().await) as Shared,
        sql:
            what_sql_wrote_is_read_and_committed
            every_value_comes_back
            a_commit_is_one_of_all
            cleared_tables_are_gone
            keys_and_alarm_are_as_in_a_storage
            databases_are_apart
            dropped_queries_are_in_order;
        refused:
            a_query_that_fails_does_nothing
            a_transaction_that_is_lost_cannot_go_on
            sql_may_not_leave_its_tables
            sql_that_does_not_end_is_interrupted;
    }
}

/// Runs the checks for a storage that can be opened again: `open` does that, for a
/// place that it is given, and an empty storage is in each new `place`. Before it
/// is opened again it is dropped.
///
/// ```no_run
/// # use wsworker::storage::{SqliteStorage, suite};
/// # async fn f() {
/// suite::persistent(
///     || tempfile::tempdir().unwrap(),
///     async |directory| SqliteStorage::open(directory).unwrap(),
/// )
/// .await;
/// # }
/// ```
///
/// # Panics
/// If a check fails; the check's name goes to standard error.
pub async fn persistent<P, S: Storage>(place: impl Fn() -> P, open: impl AsyncFn(&P) -> S) {
    checks! {
        (&place(), &open),
        reopened:
            everything_is_there_again
            what_is_gone_stays_gone
            later_commits_go_on_from_there
            a_dropped_commit_is_whole_or_not_there;
    }
    if open(&place()).await.has_sql() {
        checks! {
            (&place(), &open),
            sql:
                tables_are_there_again;
        }
    }
}

type Shared = Arc<dyn Storage>;

/// What a call gives, before anything is done.
type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Names the check that panics.
struct Running(&'static str);

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the storage does not hold: {}", self.0);
        }
    }
}

fn object(number: u32) -> ObjectKey {
    object_of("room", number)
}

fn object_of(class: &str, number: u32) -> ObjectKey {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_le_bytes());
    let class = class.into();
    ObjectKey { class, id }
}

fn key(key: impl AsRef<[u8]>) -> Key {
    Key::copy_from_slice(key.as_ref())
}

/// A batch that writes these.
fn put<K: AsRef<[u8]>, V: AsRef<[u8]>>(writes: impl IntoIterator<Item = (K, V)>) -> Batch {
    let writes = writes.into_iter();
    let writes = writes.map(|(name, value)| (key(name), Some(key(value))));
    Batch {
        writes: writes.collect(),
        ..Batch::default()
    }
}

/// A batch that deletes this.
fn delete(name: impl AsRef<[u8]>) -> Batch {
    Batch {
        writes: [(key(name), None)].into(),
        ..Batch::default()
    }
}

fn clear() -> Batch {
    Batch {
        clear: true,
        ..Batch::default()
    }
}

fn alarm(change: AlarmChange) -> Batch {
    Batch {
        alarm: Some(change),
        ..Batch::default()
    }
}

fn at(at: u64) -> Alarm {
    Alarm { at, retries: 0 }
}

/// One value, if it is there.
async fn get(storage: &dyn Storage, object: &ObjectKey, name: impl AsRef<[u8]>) -> Option<Bytes> {
    let values = storage.get(object, vec![key(name)]).await.unwrap();
    let [value] = values.try_into().expect("a value for each key");
    value
}

async fn all(storage: &dyn Storage, object: &ObjectKey) -> Vec<(Key, Bytes)> {
    storage.list(object, Range::ALL).await.unwrap()
}

/// As [`all`] gives it.
fn entries<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    entries: impl IntoIterator<Item = (K, V)>,
) -> Vec<(Key, Bytes)> {
    let entries = entries.into_iter();
    entries
        .map(|(name, value)| (key(name), key(value)))
        .collect()
}

/// Calls it: nothing is done before the first poll.
fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Calls it, and gives what waits for its end.
fn called<'a, T: 'a>(mut call: Call<'a, T>) -> impl Future<Output = T> + 'a {
    let done = poll_once(&mut call);
    async {
        match done {
            Poll::Ready(result) => result,
            Poll::Pending => call.await,
        }
    }
}

/// Runs it on a thread with a runtime of its own, beside this one.
fn elsewhere<T, F>(work: impl FnOnce() -> F + Send + 'static) -> impl Future<Output = T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (done, result) = oneshot::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let _ = done.send(runtime.expect("a runtime starts").block_on(work()));
    });
    async { result.await.expect("what ran elsewhere has panicked") }
}
