//! Objects that nobody needs leave memory, and their sockets stay.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use wsworker::ObjectId;
use wsworker::storage::MemoryStorage;

use super::probe::serve;
use super::storage::Scripted;
use super::*;
use crate::log::Logged;
use crate::raw::{Frame, RawClient};
use crate::server::{Served, on_several_threads, within, within_time};

#[tokio::test(start_paused = true)]
async fn an_idle_object_is_dropped_and_built_again() {
    let server = rooms().await;
    let mut ws = server.connect("/a?tags=red").await.unwrap();
    ws.send("put k v").unwrap();
    assert_eq!(ask(&mut ws, "heard").await, "2");
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(ask(&mut ws, "heard").await, "3");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(ask(&mut ws, "heard").await, "1");
    assert_eq!(ask(&mut ws, "get k").await, "v");
    assert_eq!(ask(&mut ws, "attached").await, "red");
    assert_eq!(ask(&mut ws, "tagged red yes").await, "yes");
}

#[tokio::test(start_paused = true)]
async fn an_object_is_not_dropped_while_something_is_under_way() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(60));
    ws.send("incr").unwrap();
    ws.quiet_for(Duration::from_secs(25)).await.unwrap();
    storage.let_go(10);
    assert_eq!(ws.text().await.unwrap(), "1");
    assert_eq!(ask(&mut ws, "heard").await, "2");
    ws.send("sleep 20000").unwrap();
    assert_eq!(ask(&mut ws, "heard").await, "4");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_closes_while_its_object_is_away_is_told_of() {
    let server = rooms().await;
    let mut stays = server.connect("/a").await.unwrap();
    let mut leaves = server.connect("/a").await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    leaves.close().unwrap();
    assert_eq!(leaves.closed().await.unwrap().code, 1005);
    assert_eq!(stays.text().await.unwrap(), "left 1005 1");
    assert_eq!(ask(&mut stays, "sockets").await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_eviction_never_meets_a_message() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    // Around the moment at which it would be dropped.
    for n in 1..200u64 {
        assert_eq!(ask(&mut ws, "incr").await, n.to_string());
        tokio::time::sleep(Duration::from_millis(9900 + n)).await;
    }
}

/// Events of a few objects from several threads, each after about the time that an idle
/// object is kept for: of none there are ever two, and none misses an event.
#[test]
fn evictions_on_several_threads_meet_no_event_and_leave_one_instance() {
    within_time(Duration::from_secs(60), async || {
        let racing = async {
            let seed: u64 = rand::random();
            println!("seed {seed}");
            let served = Served::start_with(Naps, |server| server.storage(MemoryStorage::new()));
            let addr = served.await.addr;
            let mut racing = JoinSet::new();
            for nth in 0..12 {
                let mut rng = StdRng::seed_from_u64(seed + nth);
                racing.spawn(async move {
                    // A third keeps a socket, and the others' objects leave nothing behind.
                    let path = format!("/{}", nth % 4);
                    let mut socket = match nth % 3 {
                        0 => Some(RawClient::open_at(addr, &path).await),
                        _ => None,
                    };
                    let mut last = 0;
                    for _ in 0..150 {
                        let count = match &mut socket {
                            Some(client) => {
                                client.send(Frame::text("incr")).await;
                                client.read_frame().await.text().parse::<u32>()
                            }
                            None => {
                                let mut plain = RawClient::connect(addr).await;
                                plain.get(&path).await.text().parse::<u32>()
                            }
                        };
                        let count = count.unwrap();
                        assert!(count > last, "{count} after {last}");
                        last = count;
                        let micros = rng.random_range(500..1500);
                        tokio::time::sleep(Duration::from_micros(micros)).await;
                    }
                });
            }
            racing.join_all().await;
            for nth in 0..4 {
                let mut plain = RawClient::connect(addr).await;
                let count = plain.get(&format!("/{nth}")).await.text().to_owned();
                assert_eq!(count, (3 * 150 + 1).to_string(), "of object {nth}");
            }
        };
        on_several_threads(racing).await;
        let built = NAPS
            .lock()
            .unwrap()
            .iter()
            .map(|(_, (_, built))| built)
            .sum::<usize>();
        assert!(built > 100, "{built} were built: they hardly slept");
    });
}

/// Leaves memory at the first moment, and shouts if it is there twice.
#[durable_object(hibernate_after = "1ms")]
struct Nap {
    ctx: ObjectContext,
    awake: Awake,
}

/// Of each object, how many values there are now, and were built.
static NAPS: LazyLock<Mutex<HashMap<ObjectId, (usize, usize)>>> = LazyLock::new(Mutex::default);

struct Awake(ObjectId);

impl Awake {
    fn now(id: ObjectId) -> Self {
        let mut naps = NAPS.lock().unwrap();
        let (awake, built) = naps.entry(id).or_default();
        (*awake, *built) = (*awake + 1, *built + 1);
        Self(id)
    }

    fn is_alone(&self) -> bool {
        NAPS.lock().unwrap()[&self.0].0 == 1
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        NAPS.lock().unwrap().get_mut(&self.0).unwrap().0 -= 1;
    }
}

impl DurableObject for Nap {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        let awake = Awake::now(ctx.id());
        Ok(Self { ctx, awake })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        match req.is_upgrade() {
            true => Ok(req.upgrade()?.accept()),
            false => Ok(Response::text(self.count().await?.to_string())),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        ws.send(self.count().await?.to_string())
    }
}

impl Nap {
    async fn count(&mut self) -> Result<u32> {
        assert!(self.awake.is_alone(), "there are two of this object");
        let storage = self.ctx.storage();
        let count = storage.get::<u32>("count").await?.unwrap_or(0) + 1;
        tokio::task::yield_now().await;
        storage.put("count", &count)?;
        Ok(count)
    }
}

#[worker(objects(Nap))]
#[derive(Clone)]
struct Naps;

impl Worker for Naps {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let nap = env.durable_object::<Nap>().get_by_name(req.path());
        nap.fetch(req).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_without_sockets_leaves_nothing_behind() {
    let server = rooms().await;
    for n in 0..100 {
        get(&server, &format!("/{n}/incr")).await;
    }
    let mut ws = server.connect("/1").await.unwrap();
    assert_eq!(server.handle().objects(), 100);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.handle().objects(), 1);
    assert_eq!(ask(&mut ws, "incr").await, "2");
    ws.close().unwrap();
    ws.closed().await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.handle().objects(), 0);
}

#[test]
fn a_server_that_has_ended_leaves_its_directory_to_the_next() {
    within(async || {
        let directory = tempfile::tempdir().unwrap();
        let mut kept = Vec::new();
        for count in 1..4 {
            let mut served = Served::start_with(Rooms, |server| {
                server.object::<Room>().data(directory.path())
            })
            .await;
            let mut client = RawClient::open_at(served.addr, "/a").await;
            client.send(Frame::text("incr")).await;
            client.expect_text(&count.to_string()).await;
            served.shut_down().await;
            // Whoever still asks after it does not keep its storage.
            kept.push((served.handle.clone(), client));
        }
    });
}

#[tokio::test(start_paused = true)]
async fn an_object_whose_caller_gave_up_before_calling_leaves_nothing_behind() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let ((), _, _) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            storage.let_go(100);
        },
        server.fetch("/a/put+k+v"),
        // Waits for that commit first, for longer than an event may take.
        server.fetch("/a/ask+b+put_k_v"),
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.handle().objects(), 0);
}

/// Says how often it was built.
#[durable_object(hibernate_after = "20ms")]
struct Sleeper {
    ctx: ObjectContext,
    nth: usize,
}

static BUILT: AtomicUsize = AtomicUsize::new(0);
static AWAKE: AtomicUsize = AtomicUsize::new(0);

impl DurableObject for Sleeper {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        AWAKE.fetch_add(1, Ordering::SeqCst);
        let nth = BUILT.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Self { ctx, nth })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }

    async fn on_close(&mut self, _: &WebSocket, close: CloseEvent) {
        let (nth, left) = (self.nth, self.ctx.sockets().len());
        let said = format!("{nth}: {} {:?}, {left} left", close.code, close.reason);
        self.ctx.sockets().broadcast(said);
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        AWAKE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[worker(objects(Sleeper))]
#[derive(Clone)]
struct Bedroom;

impl Worker for Bedroom {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let sleeper = env.durable_object::<Sleeper>().get_by_name("a");
        sleeper.fetch(req).await
    }
}

#[test]
fn a_close_of_a_sleeping_objects_socket_is_answered_and_heard_of_once() {
    within(async || {
        let storage = wsworker::storage::MemoryStorage::new();
        let served = Served::start_with(Bedroom, |server| server.storage(storage)).await;
        let mut stays = RawClient::open(served.addr).await;
        for (closes, answer, heard) in [
            (Frame::close(4001, "bye"), Some(4001), r#"4001 "bye""#),
            (Frame::close_empty(), None, r#"1005 """#),
        ] {
            let mut leaves = RawClient::open(served.addr).await;
            leaves.send(Frame::text("here")).await;
            leaves.expect_text("here").await;
            while AWAKE.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let built = BUILT.load(Ordering::SeqCst);
            leaves.send(closes).await;
            match answer {
                Some(code) => assert_eq!(leaves.expect_close(code).await, "bye"),
                None => leaves.expect_empty_close().await,
            }
            leaves.expect_clean_eof().await;
            let said = format!("{}: {heard}, 1 left", built + 1);
            stays.expect_text(&said).await;
        }
        stays.send(Frame::text("and no more")).await;
        stays.expect_text("and no more").await;
    });
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_built_again_says_so_in_the_log() {
    let logged = Logged::start();
    let (server, _env) = serve::<Torn>(MemoryStorage::new()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("tear").unwrap();
    assert_eq!(ws.text().await.unwrap(), "torn");
    tokio::time::sleep(Duration::from_secs(20)).await;
    ws.send("hello").unwrap();
    assert_eq!(ws.closed().await.unwrap().code, 1011);
    // What the message met, and then what its `on_error` and `on_close` met.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(logged.take("a callback of Torn:").len(), 1);
    for method in ["on_error", "on_close"] {
        let lines = logged.take(&format!("ended: Torn.{method}: Torn.new: key 'count': "));
        assert_eq!(lines.len(), 1, "{method}");
    }
}

/// Reads a number when it is built, and writes a text there.
#[durable_object]
struct Torn(ObjectContext);

impl DurableObject for Torn {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        ctx.storage().get::<u64>("count").await?;
        Ok(Self(ctx))
    }

    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        self.0.storage().put("count", "a text")?;
        ws.send("torn")
    }
}
