//! Storages against a map in memory: random commits, reads, and openings in between.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::task::{Context, Waker};

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest::{bool, option, sample};
use wsworker::storage::{
    Alarm, AlarmChange, Batch, Key, MemoryStorage, ObjectKey, Range, SqliteStorage, Storage,
};

#[test]
fn memory_is_as_the_model() {
    check(|before, _| before.unwrap_or_else(|| Box::new(MemoryStorage::new())));
}

#[test]
fn sqlite_is_as_the_model() {
    check(|before, directory| {
        drop(before);
        Box::new(SqliteStorage::open(directory).unwrap())
    });
}

/// Opens a storage, or again the one that is given.
type Open = fn(Option<Box<dyn Storage>>, &Path) -> Box<dyn Storage>;

/// A failure prints its seed and the least steps that lead to it.
fn check(open: Open) {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let config = Config {
        cases: 40,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&vec(step(), 1..40), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(run(open, steps));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(ObjectKey, Batch),
    /// Several at once, which are waited for when all have been called.
    Together(Vec<(ObjectKey, Batch)>),
    /// The first is called and dropped, the second, which is not empty, done.
    Dropped(ObjectKey, Batch, Batch),
    Get(ObjectKey, Vec<Key>),
    List(ObjectKey, Range),
    Alarms(usize),
    Open,
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Model(BTreeMap<ObjectKey, (BTreeMap<Key, Bytes>, Option<Alarm>)>);

impl Model {
    fn apply(&mut self, object: &ObjectKey, batch: Batch) {
        let (keys, alarm) = self.0.entry(object.clone()).or_default();
        if batch.clear {
            keys.clear();
        }
        for (key, value) in batch.writes {
            keys.remove(&key);
            keys.extend(value.map(|value| (key, value)));
        }
        match batch.alarm {
            Some(AlarmChange::Set(set)) => *alarm = Some(set),
            Some(AlarmChange::Delete) => *alarm = None,
            None => {}
        }
    }

    fn list(&self, object: &ObjectKey, range: &Range) -> Vec<(Key, Bytes)> {
        let bounds = (range.start.clone(), range.end.clone());
        let keys = self.0.get(object).into_iter().flat_map(|(keys, _)| keys);
        let within = |(key, _): &(&Key, &Bytes)| std::ops::RangeBounds::contains(&bounds, *key);
        let mut found: Vec<_> = keys
            .filter(within)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if range.reverse {
            found.reverse();
        }
        found.truncate(range.limit);
        found
    }
}

async fn run(open: Open, steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let mut storage = open(None, directory.path());
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Commit(object, batch) => {
                storage.commit(&object, batch.clone()).await.unwrap();
                model.apply(&object, batch);
            }
            Step::Together(commits) => {
                let mut calls = Vec::new();
                for (object, batch) in &commits {
                    let mut call = storage.commit(object, batch.clone());
                    let done = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    calls.extend(done.is_pending().then_some(call));
                }
                for call in calls {
                    call.await.unwrap();
                }
                for (object, batch) in commits {
                    model.apply(&object, batch);
                }
            }
            Step::Dropped(object, dropped, done) => {
                let mut call = storage.commit(&object, dropped.clone());
                let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                drop(call);
                storage.commit(&object, done.clone()).await.unwrap();
                let mut both = model.clone();
                both.apply(&object, dropped);
                both.apply(&object, done.clone());
                model.apply(&object, done);
                let keys = storage.list(&object, Range::ALL).await.unwrap();
                let alarm = storage.alarm(&object).await.unwrap();
                let now = (keys.into_iter().collect(), alarm);
                if model.0[&object] != now {
                    model = both;
                }
                assert_eq!(model.0[&object], now);
            }
            Step::Get(object, keys) => {
                let all = model.list(&object, &Range::ALL);
                let all: BTreeMap<_, _> = all.into_iter().collect();
                let wanted: Vec<_> = keys.iter().map(|key| all.get(key).cloned()).collect();
                assert_eq!(storage.get(&object, keys).await.unwrap(), wanted);
            }
            Step::List(object, range) => {
                let wanted = model.list(&object, &range);
                assert_eq!(storage.list(&object, range).await.unwrap(), wanted);
            }
            Step::Alarms(limit) => check_alarms(&*storage, &model, limit).await,
            Step::Open => {
                storage = open(Some(storage), directory.path());
                check_all(&*storage, &model).await;
            }
        }
    }
    check_all(&*storage, &model).await;
}

async fn check_all(storage: &dyn Storage, model: &Model) {
    for (object, (keys, alarm)) in &model.0 {
        let all = storage.list(object, Range::ALL).await.unwrap();
        assert_eq!(&all.into_iter().collect::<BTreeMap<_, _>>(), keys);
        assert_eq!(storage.alarm(object).await.unwrap(), *alarm);
    }
    check_alarms(storage, model, usize::MAX).await;
}

/// Those of one time come in any order.
async fn check_alarms(storage: &dyn Storage, model: &Model, limit: usize) {
    let found = storage.alarms(limit).await.unwrap();
    let set = model.0.iter();
    let mut set: Vec<_> = set
        .filter_map(|(object, (_, alarm))| Some((object, (*alarm)?)))
        .collect();
    set.sort_by_key(|(_, alarm)| alarm.at);
    let times = |alarm: &Alarm| alarm.at;
    let wanted: Vec<_> = set
        .iter()
        .map(|(_, alarm)| times(alarm))
        .take(limit)
        .collect();
    assert_eq!(
        found
            .iter()
            .map(|(_, alarm)| times(alarm))
            .collect::<Vec<_>>(),
        wanted
    );
    let objects: BTreeSet<_> = found.iter().map(|(object, _)| object).collect();
    assert_eq!(objects.len(), found.len());
    for (object, alarm) in &found {
        assert!(set.contains(&(object, *alarm)), "{object}: {alarm:?}");
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (object(), batch()).prop_map(|(object, batch)| Step::Commit(object, batch)),
        2 => vec((object(), batch()), 1..10).prop_map(Step::Together),
        1 => (object(), batch(), something()).prop_map(|(o, a, b)| Step::Dropped(o, a, b)),
        2 => (object(), vec(key(), 0..5)).prop_map(|(object, keys)| Step::Get(object, keys)),
        4 => (object(), range()).prop_map(|(object, range)| Step::List(object, range)),
        2 => prop_oneof![0..4_usize, Just(usize::MAX)].prop_map(Step::Alarms),
        1 => Just(Step::Open),
    ]
}

fn object() -> impl Strategy<Value = ObjectKey> {
    (
        sample::select(vec!["a", "b"]),
        sample::select(vec![0, 1, 0xff]),
    )
        .prop_map(|(class, byte)| {
            let class = class.into();
            ObjectKey {
                class,
                id: [byte; 32],
            }
        })
}

fn batch() -> impl Strategy<Value = Batch> {
    let alarm = prop_oneof![
        (alarm_time(), 0..3_u32).prop_map(|(at, retries)| AlarmChange::Set(Alarm { at, retries })),
        Just(AlarmChange::Delete),
    ];
    let writes = btree_map(key(), option::of(value()), 0..6);
    (bool::weighted(0.1), writes, option::of(alarm)).prop_map(|(clear, writes, alarm)| Batch {
        clear,
        writes,
        alarm,
    })
}

/// An empty batch would not wait for those before it.
fn something() -> impl Strategy<Value = Batch> {
    batch().prop_filter("an empty batch", |batch| !batch.is_empty())
}

fn alarm_time() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, any::<u64>()]
}

/// Few, so that they meet; at the edges of what a byte can be.
fn key() -> impl Strategy<Value = Key> {
    let byte = sample::select(vec![0, 1, b'a', 0xff]);
    vec(byte, 0..3).prop_map(Key::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..10),
        1 => (any::<u8>(), 900..20_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ]
    .prop_map(Bytes::from)
}

fn range() -> impl Strategy<Value = Range> {
    let bound = || {
        prop_oneof![
            key().prop_map(Bound::Included),
            key().prop_map(Bound::Excluded),
            Just(Bound::Unbounded),
        ]
    };
    let limit = prop_oneof![0..4_usize, Just(usize::MAX)];
    (bound(), bound(), any::<bool>(), limit).prop_map(|(start, end, reverse, limit)| Range {
        start,
        end,
        reverse,
        limit,
    })
}
