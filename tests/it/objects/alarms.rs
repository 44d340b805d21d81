//! Alarms: at their time, at least once, and tried again.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use wsworker::__private::Called;
use wsworker::ObjectId;
use wsworker::storage::{
    Alarm, AlarmChange, Batch, Commit, MemoryStorage, ObjectKey, SqliteStorage,
};

use super::probe::serve;
use super::storage::Scripted;
use super::*;
use crate::log::Logged;
use crate::server::within_time;

#[tokio::test(start_paused = true)]
async fn an_alarm_comes_at_its_time_and_is_gone() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("alarm 30000").unwrap();
    ws.quiet_for(Duration::from_millis(29_800)).await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
    ws.quiet_for(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_deleted_does_not_come() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("alarm 1000").unwrap();
    ws.send("no-alarm").unwrap();
    ws.quiet_for(Duration::from_secs(5)).await.unwrap();
    ws.send("alarm 1000").unwrap();
    ws.send("alarm 3000").unwrap();
    ws.quiet_for(Duration::from_millis(2500)).await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_may_set_the_next() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("number repeat 3").unwrap();
    ws.send("alarm 10").unwrap();
    for _ in 0..4 {
        assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
    }
    ws.quiet_for(Duration::from_secs(90)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_fails_is_undone_and_tried_again() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("number failing 3").unwrap();
    ws.send("alarm 10").unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 3 false");
    assert_eq!(ask(&mut ws, "get lost").await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_always_fails_is_dropped_after_six_retries() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("number failing 100").unwrap();
    ws.send("alarm 10").unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    ws.send("number failing 0").unwrap();
    ws.quiet_for(Duration::from_secs(600)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_whose_failure_cannot_be_stored_waits_before_it_is_tried_again() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("alarm 1000").unwrap();
    ws.quiet_for(Duration::from_millis(500)).await.unwrap();
    let before = storage.commits();
    storage.fail(true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Each 2 s its own commit, and the one that would put it off.
    let commits = storage.commits() - before;
    assert!((50..=62).contains(&commits), "{commits}");
    storage.fail(false);
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
}

#[test]
fn tens_of_thousands_of_alarms_at_once_all_come_from_a_disk() {
    const COUNT: u32 = 20_000;
    within_time(Duration::from_secs(120), async || {
        let directory = tempfile::tempdir().unwrap();
        let storage = SqliteStorage::open(directory.path()).unwrap();
        // Each is due. As if so many events had set one while no server ran.
        let due = (0..COUNT).map(|id| Commit {
            object: ObjectKey {
                class: "Prompt".into(),
                id: std::array::from_fn(|n| id.to_be_bytes()[n % 4]),
            },
            batch: Arc::new(Batch {
                alarm: Some(AlarmChange::Set(Alarm { at: 1, retries: 0 })),
                ..Batch::default()
            }),
        });
        for stored in storage.commit_all(due.collect()).await {
            stored.unwrap();
        }
        let server = Server::new(Rooms).object::<Prompt>().storage(storage);
        let server = TestServer::start(server, Via::Memory).await.unwrap();
        loop {
            let came = CAME.lock().unwrap().len();
            if came == COUNT as usize {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.shutdown().await.unwrap();
        let storage = SqliteStorage::open(directory.path()).unwrap();
        assert_eq!(storage.alarms(10).await.unwrap(), [], "one is left");
        let most = CAME.lock().unwrap().values().copied().max();
        assert_eq!(most, Some(1), "one came twice though none failed");
    });
}

/// Notes in its storage and in `CAME` that its alarm came.
#[durable_object]
struct Prompt(ObjectContext);

static CAME: LazyLock<Mutex<HashMap<ObjectId, u32>>> = LazyLock::new(Mutex::default);

impl DurableObject for Prompt {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(ctx))
    }

    async fn alarm(&mut self, _: AlarmInfo) -> Result<()> {
        let storage = self.0.storage();
        let before = storage.get::<u32>("came").await?.unwrap_or(0);
        storage.put("came", &(before + 1))?;
        CAME.lock().unwrap().insert(self.0.id(), before + 1);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_whose_commits_fail_waits_before_the_next_try_and_comes_at_last() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(60));
    ws.send("alarm 1000").unwrap();
    ws.quiet_for(Duration::from_millis(500)).await.unwrap();
    storage.fail(true);
    let before = storage.commits();
    ws.quiet_for(Duration::from_secs(10)).await.unwrap();
    let tried = storage.commits() - before;
    // Each time the alarm's own, and the one that would have set it anew.
    assert!((4..=12).contains(&tried), "{tried} commits in ten seconds");
    storage.fail(false);
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
    assert_eq!(get(&server, "/a/alarms").await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_at_a_time_comes_by_the_clock_that_the_object_reads() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    // The clock of a test is ahead of the system's by now.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    ws.send("alarm-at 60000").unwrap();
    ws.quiet_for(Duration::from_secs(59)).await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
}

/// Its alarms fail, and are noted.
#[durable_object]
struct Failing {
    ctx: ObjectContext,
}

/// Whose, after how many retries, and when.
static TRIES: Mutex<Vec<(ObjectId, u32, Instant)>> = Mutex::new(Vec::new());

impl DurableObject for Failing {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn alarm(&mut self, info: AlarmInfo) -> Result<()> {
        let tried = (self.ctx.id(), info.retries, Instant::now());
        TRIES.lock().unwrap().push(tried);
        Err(Error::new("as asked"))
    }
}

fn of<R, F>(env: &Env, name: &str, event: F) -> impl Future<Output = Result<R>> + use<R, F>
where
    R: Send + 'static,
    F: for<'a> FnOnce(&'a mut Failing) -> Called<'a, R> + Send + 'static,
{
    let failing = env.durable_object::<Failing>().get_by_name(name);
    async move { failing.call(event).await }
}

async fn set_alarm(env: &Env, name: &str) -> ObjectId {
    of(env, name, |failing| {
        Box::pin(async {
            let soon = Duration::from_millis(100);
            failing.ctx.storage().set_alarm_after(soon)?;
            Ok(failing.ctx.id())
        })
    })
    .await
    .unwrap()
}

fn tries(id: ObjectId) -> Vec<(u32, Instant)> {
    let tries = TRIES.lock().unwrap();
    let of_it = tries.iter().filter(|(whose, ..)| *whose == id);
    of_it.map(|(_, retries, at)| (*retries, *at)).collect()
}

fn retries(id: ObjectId) -> Vec<u32> {
    tries(id).into_iter().map(|(retries, _)| retries).collect()
}

#[tokio::test(start_paused = true)]
async fn tries_are_counted_ever_further_apart_and_the_last_is_logged() {
    let logged = Logged::start();
    let (_server, env) = serve::<Failing>(MemoryStorage::new()).await;
    let id = set_alarm(&env, "a").await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let tries = tries(id);
    assert_eq!(retries(id), Vec::from_iter(0..=6));
    for (n, pair) in tries.windows(2).enumerate() {
        let waited = (pair[1].1 - pair[0].1).as_secs_f64();
        // With up to half of it added.
        let least = f64::from(2 << n);
        assert!(
            (least..least * 1.5 + 0.1).contains(&waited),
            "try {n}: {waited} s"
        );
    }
    assert_eq!(logged.take("is tried again").len(), 6);
    assert_eq!(logged.take("failed 7 times and is dropped").len(), 1);
    let left = of(&env, "a", |failing| {
        Box::pin(async { failing.ctx.storage().alarm().await })
    });
    assert_eq!(left.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_count_of_tries_outlives_a_restart() {
    let storage = Arc::new(MemoryStorage::new());
    let (server, env) = serve::<Failing>(storage.clone()).await;
    let id = set_alarm(&env, "b").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(retries(id), [0, 1]);
    server.shutdown().await.unwrap();
    let (_server, _env) = serve::<Failing>(storage).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(retries(id), Vec::from_iter(0..=6));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_of_a_class_that_is_not_registered_is_kept_and_reported() {
    let logged = Logged::start();
    let storage = Arc::new(MemoryStorage::new());
    let (server, env) = serve::<Failing>(storage.clone()).await;
    let id = set_alarm(&env, "c").await;
    server.shutdown().await.unwrap();
    let server = rooms_on(storage.clone()).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let kept = "the class 'Failing' have alarms, and it is not registered: they are kept";
    assert_eq!(logged.take(kept).len(), 1, "at the start, before it is due");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(logged.take("the class 'Failing'").len(), 0);
    // It hides nobody else's.
    get(&server, "/a/alarm+100").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&server, "/a/alarms").await, "1");
    server.shutdown().await.unwrap();
    assert!(retries(id).is_empty());
    let (_server, _env) = serve::<Failing>(storage).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(retries(id)[0], 0);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_panics_ends_no_alarms() {
    let logged = Logged::start();
    let storage = Scripted::open();
    storage.panic(true);
    let (_server, _env) = serve::<Lasting>(storage.clone()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(logged.take("alarms broke off, and go on").len(), 1);
    storage.panic(false);
    let id = store(&storage, "Lasting", 3, 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(has_begun(&id));
}

/// One of another class runs meanwhile, so that those are not alone.
#[tokio::test(start_paused = true)]
async fn alarms_that_nobody_can_fire_hide_none_of_those_behind_them() {
    let storage = Arc::new(MemoryStorage::new());
    for id in 0..1023 {
        store(&*storage, "Gone", id, 1).await;
    }
    store(&*storage, "Lasting", 1, 2).await;
    let behind = store(&*storage, "Lasting", 2, 3).await;
    let (_server, _env) = serve::<Lasting>(storage.clone()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(has_begun(&behind));
}

/// An alarm, beside any object. Gives whose it is.
async fn store(storage: &impl Storage, class: &str, id: u16, at: u64) -> [u8; 32] {
    let object = ObjectKey {
        class: class.into(),
        id: std::array::from_fn(|n| id.to_be_bytes()[n % 2]),
    };
    let batch = Batch {
        alarm: Some(AlarmChange::Set(Alarm { at, retries: 0 })),
        ..Batch::default()
    };
    storage.commit(&object, batch).await.unwrap();
    object.id
}

fn has_begun(id: &[u8; 32]) -> bool {
    let begun = BEGUN.lock().unwrap();
    begun.iter().any(|begun| begun.as_bytes() == id)
}

/// Its alarms take a while.
#[durable_object]
struct Lasting(ObjectContext);

static BEGUN: Mutex<Vec<ObjectId>> = Mutex::new(Vec::new());

impl DurableObject for Lasting {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(ctx))
    }

    async fn alarm(&mut self, _: AlarmInfo) -> Result<()> {
        BEGUN.lock().unwrap().push(self.0.id());
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(())
    }
}
