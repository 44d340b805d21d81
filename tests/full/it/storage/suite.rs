//! Every storage runs the public suite, and the suite finds one that does not hold.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::{TempDir, tempdir};
use wsworker::Result;
use wsworker::storage::{
    Alarm, AlarmChange, Batch, FaultyStorage, Key, MemoryStorage, ObjectKey, Range, SqliteStorage,
    Storage, suite,
};

#[tokio::test]
async fn memory_holds() {
    suite::check(async || MemoryStorage::new()).await;
}

#[tokio::test]
async fn sqlite_holds() {
    let directories = RefCell::default();
    suite::check(async || new(&directories)).await;
}

/// Its callers are tasks of a runtime with several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_holds_when_it_is_opened_again() {
    suite::persistent(|| tempdir().unwrap(), async |directory| open(directory)).await;
}

#[tokio::test]
async fn one_whose_faults_do_not_come_holds() {
    suite::check(async || FaultyStorage::new(MemoryStorage::new())).await;
    let open = async |directory: &TempDir| FaultyStorage::new(open(directory));
    suite::persistent(|| tempdir().unwrap(), open).await;
}

#[test]
fn the_suite_finds_what_does_not_hold() {
    for wrong in [
        Wrong::Forgets,
        Wrong::ListsBackwards,
        Wrong::IgnoresLimits,
        Wrong::ClearsLast,
        Wrong::ClearsAlarms,
        Wrong::Tears,
        Wrong::IsLate,
        Wrong::Overtakes,
        Wrong::MixesClasses,
        Wrong::SortsAlarmsAsSigned,
    ] {
        let broken = || Broken {
            wrong,
            inner: MemoryStorage::new(),
            late: Mutex::default(),
        };
        let found = run_to_panic(suite::check(async || broken()));
        assert!(found, "{wrong:?} is not found");
    }
    // As one that holds only what its process has.
    let forgets = suite::persistent(|| (), async |()| MemoryStorage::new());
    assert!(run_to_panic(forgets));
}

fn run_to_panic(suite: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(suite))).is_err()
}

fn open(directory: &TempDir) -> SqliteStorage {
    SqliteStorage::open(directory.path()).unwrap()
}

/// In a directory that these keep.
fn new(directories: &RefCell<Vec<TempDir>>) -> SqliteStorage {
    let directory = tempdir().unwrap();
    let storage = open(&directory);
    directories.borrow_mut().push(directory);
    storage
}

/// A storage that does one thing wrong.
struct Broken {
    wrong: Wrong,
    inner: MemoryStorage,
    late: Mutex<Option<(ObjectKey, Batch)>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Forgets,
    ListsBackwards,
    IgnoresLimits,
    ClearsLast,
    ClearsAlarms,
    Tears,
    IsLate,
    Overtakes,
    MixesClasses,
    SortsAlarmsAsSigned,
}

impl Broken {
    fn of(&self, object: &ObjectKey) -> ObjectKey {
        let mut object = object.clone();
        if self.wrong == Wrong::MixesClasses {
            object.class = "".into();
        }
        object
    }
}

#[async_trait]
impl Storage for Broken {
    async fn get(&self, object: &ObjectKey, keys: Vec<Key>) -> Result<Vec<Option<Bytes>>> {
        self.inner.get(&self.of(object), keys).await
    }

    async fn list(&self, object: &ObjectKey, mut range: Range) -> Result<Vec<(Key, Bytes)>> {
        range.reverse ^= self.wrong == Wrong::ListsBackwards;
        if self.wrong == Wrong::IgnoresLimits {
            range.limit = usize::MAX;
        }
        self.inner.list(&self.of(object), range).await
    }

    async fn alarm(&self, object: &ObjectKey) -> Result<Option<Alarm>> {
        self.inner.alarm(&self.of(object)).await
    }

    async fn alarms(&self, limit: usize) -> Result<Vec<(ObjectKey, Alarm)>> {
        let mut alarms = self.inner.alarms(limit).await?;
        if self.wrong == Wrong::SortsAlarmsAsSigned {
            alarms.sort_by_key(|(_, alarm)| alarm.at.cast_signed());
        }
        Ok(alarms)
    }

    async fn commit(&self, object: &ObjectKey, mut batch: Batch) -> Result<()> {
        let object = self.of(object);
        match self.wrong {
            Wrong::Forgets => return Ok(()),
            Wrong::ClearsLast if batch.clear => batch.writes.clear(),
            Wrong::ClearsAlarms if batch.clear => {
                batch.alarm = batch.alarm.or(Some(AlarmChange::Delete));
            }
            Wrong::Tears => {
                while let Some((key, value)) = batch.writes.pop_first() {
                    let writes = [(key, value)].into();
                    let one = Batch {
                        writes,
                        ..Batch::default()
                    };
                    self.inner.commit(&object, one).await?;
                    tokio::task::yield_now().await;
                }
            }
            Wrong::IsLate => {
                let earlier = self.late.lock().unwrap().replace((object, batch));
                if let Some((object, batch)) = earlier {
                    self.inner.commit(&object, batch).await?;
                }
                return Ok(());
            }
            // Some wait, the others go past them.
            Wrong::Overtakes => {
                let first = batch.writes.keys().next().and_then(|key| key.last());
                if first.is_some_and(|byte| byte % 2 == 1) {
                    tokio::task::yield_now().await;
                }
            }
            _ => {}
        }
        self.inner.commit(&object, batch).await
    }
}
