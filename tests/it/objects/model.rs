//! An object's storage against a map in memory: random events, which end well or
//! not, with commits that wait or fail, hibernation and restarts in between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest::{bool, collection::vec, option, sample};
use tempfile::TempDir;
use tokio::time::sleep;
use wsworker::storage::{Fault, FaultyStorage, MemoryStorage, SqliteStorage};

use super::probe::serve;
use super::*;

#[test]
fn what_an_object_reads_is_what_the_model_says() {
    check(60, Kind::Memory);
}

#[test]
fn so_it_is_over_sqlite() {
    check(30, Kind::Sqlite);
}

#[derive(Clone, Copy)]
enum Kind {
    Memory,
    Sqlite,
}

/// Where a server's objects have their state, and the next server's.
struct Place {
    kind: Kind,
    memory: Arc<MemoryStorage>,
    directory: TempDir,
}

impl Place {
    fn new(kind: Kind) -> Self {
        let memory = Arc::default();
        let directory = tempfile::tempdir().unwrap();
        Self {
            kind,
            memory,
            directory,
        }
    }

    async fn open(&self) -> Arc<FaultyStorage> {
        Arc::new(match self.kind {
            Kind::Memory => FaultyStorage::new(self.memory.clone()),
            Kind::Sqlite => FaultyStorage::new(self.sqlite().await),
        })
    }

    /// The server before has ended, and lets go of its storage soon.
    async fn sqlite(&self) -> SqliteStorage {
        for _ in 0..1000 {
            match SqliteStorage::open(&self.directory) {
                Ok(storage) => return storage,
                Err(error) if error.to_string().contains("in use") => {}
                Err(error) => panic!("{error}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("it is in use still");
    }
}

/// A failure prints its seed and the least steps that lead to it.
fn check(cases: u32, kind: Kind) {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&vec(step(), 1..20), |steps| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(run(kind, steps));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Of one object, called at once.
    Events {
        object: u8,
        events: Vec<Events>,
        commits: Commits,
    },
    Hibernate,
    Restart,
}

#[derive(Clone, Debug)]
struct Events {
    ops: Vec<Op>,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Commits {
    Work,
    /// Until the events have run.
    Wait,
    /// So, and the first fails.
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Well,
    Error,
    Panic,
    Abort,
}

#[derive(Clone, Debug)]
enum Op {
    Get(Vec<u8>),
    GetText(Vec<String>),
    Put(Vec<u8>, Vec<u8>),
    PutText(Vec<(String, String)>),
    /// The last key is too long.
    PutTooLong(String),
    Delete(Vec<u8>),
    DeleteMany(Vec<Vec<u8>>),
    DeleteAll,
    List(List),
    SetAlarm(u64),
    DeleteAlarm,
    Alarm,
    Sync,
    Yield,
}

#[derive(Clone, Debug)]
struct List {
    prefix: Option<Vec<u8>>,
    start: Option<Vec<u8>>,
    start_after: Option<Vec<u8>>,
    end: Option<Vec<u8>>,
    reverse: bool,
    limit: Option<usize>,
}

/// What an operation gives.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Done,
    Refused,
    Value(Option<Vec<u8>>),
    Texts(Vec<Option<String>>),
    Pairs(Vec<(Vec<u8>, Vec<u8>)>),
    Time(Option<u64>),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    keys: BTreeMap<Vec<u8>, Vec<u8>>,
    alarm: Option<u64>,
}

impl Model {
    fn apply(&mut self, op: &Op) -> Seen {
        match op.clone() {
            Op::Get(key) if key.is_empty() => return Seen::Refused,
            Op::Get(key) => return Seen::Value(self.keys.get(&key).cloned()),
            Op::GetText(keys) => {
                let text = |key: String| self.keys.get(key.as_bytes()).map(|v| decoded(v));
                return Seen::Texts(keys.into_iter().map(text).collect());
            }
            Op::Put(key, _) if key.is_empty() => return Seen::Refused,
            Op::Put(key, value) => drop(self.keys.insert(key, value)),
            Op::PutText(pairs) => {
                let pairs = pairs
                    .into_iter()
                    .map(|(k, v)| (k.into_bytes(), encoded(&v)));
                self.keys.extend(pairs);
            }
            Op::PutTooLong(_) => return Seen::Refused,
            Op::Delete(key) if key.is_empty() => return Seen::Refused,
            Op::Delete(key) => drop(self.keys.remove(&key)),
            Op::DeleteMany(keys) if keys.iter().any(Vec::is_empty) => return Seen::Refused,
            Op::DeleteMany(keys) => self.keys.retain(|key, _| !keys.contains(key)),
            Op::DeleteAll => self.keys.clear(),
            Op::List(list) => return self.list(&list),
            Op::SetAlarm(at) => self.alarm = Some(at),
            Op::DeleteAlarm => self.alarm = None,
            Op::Alarm => return Seen::Time(self.alarm),
            Op::Sync | Op::Yield => {}
        }
        Seen::Done
    }

    fn list(&self, list: &List) -> Seen {
        if list.limit == Some(0) || list.start.is_some() && list.start_after.is_some() {
            return Seen::Refused;
        }
        let within = |key: &Vec<u8>| {
            list.prefix
                .as_ref()
                .is_none_or(|prefix| key.starts_with(prefix))
                && list
                    .start
                    .as_ref()
                    .is_none_or(|start| (start..).contains(&key))
                && list.start_after.as_ref().is_none_or(|start| key > start)
                && list.end.as_ref().is_none_or(|end| key < end)
        };
        let pairs = self.keys.iter().filter(|(key, _)| within(key));
        let mut pairs: Vec<_> = pairs.map(|(k, v)| (k.clone(), v.clone())).collect();
        if list.reverse {
            pairs.reverse();
        }
        pairs.truncate(list.limit.unwrap_or(usize::MAX));
        Seen::Pairs(pairs)
    }
}

/// As MessagePack has a short text.
fn encoded(text: &str) -> Vec<u8> {
    let head = 0xa0 | u8::try_from(text.len()).unwrap();
    [&[head], text.as_bytes()].concat()
}

fn decoded(value: &[u8]) -> String {
    String::from_utf8(value[1..].to_vec()).unwrap()
}

/// Does what it is told, and hibernates whenever it can.
#[durable_object(hibernate_after = "1ms")]
struct Store(ObjectContext);

impl DurableObject for Store {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(ctx))
    }
}

impl Store {
    /// What it sees goes to `log` as it comes: a panic takes nothing with it.
    async fn run(&mut self, event: &Events, log: &Log, number: usize) -> Result<()> {
        log.begin(number);
        for op in &event.ops {
            let seen = self.op(op).await;
            log.see(seen);
        }
        log.end();
        match event.end {
            End::Well => Ok(()),
            End::Error => Err(Error::new("as asked")),
            End::Panic => panic!("as asked"),
            End::Abort => self.0.abort("as asked"),
        }
    }

    async fn op(&self, op: &Op) -> Seen {
        let storage = self.0.storage();
        let done = match op.clone() {
            Op::Get(key) => match storage.get_bytes(key).await {
                Ok(value) => return Seen::Value(value.map(|v| v.to_vec())),
                Err(error) => Err(error),
            },
            Op::GetText(keys) => return Seen::Texts(storage.get_many(keys).await.unwrap()),
            Op::Put(key, value) => storage.put_bytes(key, value),
            Op::PutText(pairs) => storage.put_many(pairs),
            Op::PutTooLong(key) => storage.put_many([(key, "x"), ("t".repeat(3000), "x")]),
            Op::Delete(key) => storage.delete(key),
            Op::DeleteMany(keys) => storage.delete_many(keys),
            Op::DeleteAll => storage.delete_all(),
            Op::List(list) => match storage.list_bytes(options(list)).await {
                Ok(pairs) => {
                    let pairs = pairs.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec()));
                    return Seen::Pairs(pairs.collect());
                }
                Err(error) => Err(error),
            },
            Op::SetAlarm(at) => storage.set_alarm(UNIX_EPOCH + Duration::from_millis(at)),
            Op::DeleteAlarm => storage.delete_alarm(),
            Op::Alarm => {
                let at = storage.alarm().await.unwrap();
                let millis = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_millis();
                return Seen::Time(at.map(|at| millis(at).try_into().unwrap()));
            }
            // It fails if a commit does; the event is undone then, whatever follows.
            Op::Sync => {
                let _ = storage.sync().await;
                Ok(())
            }
            Op::Yield => {
                tokio::task::yield_now().await;
                Ok(())
            }
        };
        match done {
            Ok(()) => Seen::Done,
            Err(error) => {
                assert!(error.is_invalid(), "{error}");
                Seen::Refused
            }
        }
    }
}

fn options(list: List) -> ListOptions {
    let mut options = ListOptions::new();
    if let Some(prefix) = list.prefix {
        options = options.prefix(prefix);
    }
    if let Some(start) = list.start {
        options = options.start(start);
    }
    if let Some(start) = list.start_after {
        options = options.start_after(start);
    }
    if let Some(end) = list.end {
        options = options.end(end);
    }
    if list.reverse {
        options = options.reverse();
    }
    if let Some(limit) = list.limit {
        options = options.limit(limit);
    }
    options
}

/// What events of one object have seen, in the order in which they ran.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Ran>>>);

#[derive(Clone, Default)]
struct Ran {
    number: usize,
    seen: Vec<Seen>,
    ended: bool,
}

impl Log {
    fn begin(&self, number: usize) {
        let ran = Ran {
            number,
            ..Ran::default()
        };
        let mut log = self.0.lock().unwrap();
        assert!(
            log.last().is_none_or(|last| last.ended),
            "two events at a time"
        );
        log.push(ran);
    }

    fn see(&self, seen: Seen) {
        self.0.lock().unwrap().last_mut().unwrap().seen.push(seen);
    }

    fn end(&self) {
        self.0.lock().unwrap().last_mut().unwrap().ended = true;
    }
}

async fn run(kind: Kind, steps: Vec<Step>) {
    let place = Place::new(kind);
    let mut storage = place.open().await;
    let (mut server, mut env) = serve::<Store>(storage.clone()).await;
    let mut models: [Model; OBJECTS] = Default::default();
    for step in steps {
        match step {
            Step::Events {
                object,
                events,
                commits,
            } => {
                let model = &mut models[usize::from(object)];
                run_events(&storage, &env, &object.to_string(), &events, commits, model).await;
            }
            Step::Hibernate => sleep(Duration::from_millis(5)).await,
            Step::Restart => {
                drop(env);
                server.shutdown().await.unwrap();
                drop(storage);
                storage = place.open().await;
                (server, env) = serve::<Store>(storage.clone()).await;
            }
        }
    }
    for (model, object) in models.iter_mut().zip(0..) {
        let all = Events {
            ops: vec![Op::List(ALL), Op::Alarm],
            end: End::Well,
        };
        let object = i32::to_string(&object);
        run_events(&storage, &env, &object, &[all], Commits::Work, model).await;
    }
    drop(env);
    server.shutdown().await.unwrap();
}

async fn run_events(
    storage: &FaultyStorage,
    env: &Env,
    object: &str,
    events: &[Events],
    commits: Commits,
    model: &mut Model,
) {
    let mut events = events.to_vec();
    let hold = (commits != Commits::Work).then(|| storage.hold());
    if commits == Commits::Fail {
        storage.fail(1, Fault::Before);
        // There is a commit, in any case.
        events[0].end = End::Well;
        events[0].ops.push(Op::Put(b"a".into(), b"fails".into()));
    }
    let log = Log::default();
    let calls = events.iter().cloned().zip(0..).map(|(event, number)| {
        let (log, stub) = (
            log.clone(),
            env.durable_object::<Store>().get_by_name(object),
        );
        tokio::spawn(async move {
            let called = stub.call(move |store: &mut Store| {
                Box::pin(async move { store.run(&event, &log, number).await })
            });
            called.await
        })
    });
    let calls: Vec<_> = calls.collect();
    if let Some(hold) = hold {
        sleep(Duration::from_millis(3)).await;
        drop(hold);
    }
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await.unwrap());
    }
    judge(&events, &results, &log.0.lock().unwrap(), model);
}

/// Compares what was seen, and carries the model on.
fn judge(events: &[Events], results: &[Result<()>], log: &[Ran], model: &mut Model) {
    assert_eq!(log.len(), events.len(), "each ran once");
    // With what a failed commit took away again, for as long as it was there.
    let mut with_failed = model.clone();
    for (ran, at) in log.iter().zip(0..) {
        assert_eq!(ran.number, at, "in the order of the calls");
        let (event, result) = (&events[at], &results[at]);
        let replay = |before: &Model| {
            let mut after = before.clone();
            let seen: Vec<_> = event.ops.iter().map(|op| after.apply(op)).collect();
            (seen == ran.seen).then_some(after)
        };
        let why = || {
            format!(
                "event {at} of {events:#?}\nsaw {:#?}\nafter {model:#?}",
                ran.seen
            )
        };
        match result {
            Ok(()) => {
                assert_eq!(event.end, End::Well, "{}", why());
                let after = replay(model).unwrap_or_else(|| panic!("{}", why()));
                (with_failed, *model) = (after.clone(), after);
            }
            Err(error) if event.end == End::Well => {
                assert!(error.is_undone(), "{error}");
                // While it ran the commit may have failed that it had seen, too.
                let after = replay(&with_failed);
                let syncs = event.ops.iter().any(|op| matches!(op, Op::Sync));
                match after {
                    Some(after) => with_failed = after,
                    None => assert!(syncs, "{}", why()),
                }
            }
            Err(_) => {
                let seen = replay(model).or_else(|| replay(&with_failed));
                let syncs = event.ops.iter().any(|op| matches!(op, Op::Sync));
                assert!(seen.is_some() || syncs, "{}", why());
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let commits = prop_oneof![
        4 => Just(Commits::Work),
        2 => Just(Commits::Wait),
        1 => Just(Commits::Fail),
    ];
    let events = (0..OBJECTS as u8, vec(event(), 1..5), commits);
    prop_oneof![
        12 => events.prop_map(|(object, events, commits)| Step::Events { object, events, commits }),
        2 => Just(Step::Hibernate),
        1 => Just(Step::Restart),
    ]
}

fn event() -> impl Strategy<Value = Events> {
    let end = prop_oneof![
        6 => Just(End::Well),
        1 => Just(End::Error),
        1 => Just(End::Panic),
        1 => Just(End::Abort),
    ];
    (vec(op(), 0..6), end).prop_map(|(ops, end)| Events { ops, end })
}

fn op() -> impl Strategy<Value = Op> {
    let pair = (text_key(), "[a-z]{0,20}");
    prop_oneof![
        4 => key().prop_map(Op::Get),
        2 => vec(text_key(), 0..4).prop_map(Op::GetText),
        5 => (key(), vec(any::<u8>(), 0..8)).prop_map(|(key, value)| Op::Put(key, value)),
        3 => vec(pair, 0..4).prop_map(Op::PutText),
        1 => text_key().prop_map(Op::PutTooLong),
        3 => key().prop_map(Op::Delete),
        1 => vec(key(), 0..4).prop_map(Op::DeleteMany),
        1 => Just(Op::DeleteAll),
        6 => list().prop_map(Op::List),
        2 => (LATER..LATER + 9).prop_map(Op::SetAlarm),
        1 => Just(Op::DeleteAlarm),
        2 => Just(Op::Alarm),
        1 => Just(Op::Sync),
        1 => Just(Op::Yield),
    ]
}

/// Few, so that they meet; at the edges of what a byte can be.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = || sample::select(vec![0, 1, b'a', 0xff]);
    prop_oneof![20 => vec(byte(), 1..3), 1 => Just(Vec::new())]
}

/// Of those that hold text alone.
fn text_key() -> impl Strategy<Value = String> {
    sample::select(vec!["t", "ta", "tb", "u"]).prop_map(str::to_owned)
}

fn list() -> impl Strategy<Value = List> {
    let any_key = || prop_oneof![key(), text_key().prop_map(String::into_bytes)];
    let bounds = (
        option::weighted(0.3, any_key()),
        option::weighted(0.3, any_key()),
        option::weighted(0.3, any_key()),
        option::weighted(0.3, any_key()),
    );
    let rest = (bool::ANY, option::weighted(0.5, 0..5_usize));
    (bounds, rest).prop_map(
        |((prefix, start, start_after, end), (reverse, limit))| List {
            prefix,
            start,
            start_after,
            end,
            reverse,
            limit,
        },
    )
}

const OBJECTS: usize = 2;
/// In the year 2100.
const LATER: u64 = 4_102_444_800_000;
const ALL: List = List {
    prefix: None,
    start: None,
    start_after: None,
    end: None,
    reverse: false,
    limit: None,
};
