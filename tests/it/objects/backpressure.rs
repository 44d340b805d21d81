//! Events that wait for slow commits: a client that reads what it gets is never too slow
//! for what they let out.

use std::sync::atomic::{AtomicUsize, Ordering};

use wsworker::Slow;
use wsworker::storage::{FaultyStorage, MemoryStorage};

use super::storage::Scripted;
use super::*;
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Served, within};

/// Writes and sends: bytes back to whoever sent them, a text to all. Only a text that is
/// just broadcast begins with `unwritten`.
#[durable_object]
struct Scribe {
    ctx: ObjectContext,
}

static UNWRITTEN: AtomicUsize = AtomicUsize::new(0);

impl DurableObject for Scribe {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let text = message.as_text();
        if text.is_some_and(|text| text.starts_with("unwritten")) {
            UNWRITTEN.fetch_add(1, Ordering::SeqCst);
        } else {
            self.ctx.storage().put("length", &message.len())?;
        }
        match text {
            None => ws.send(message),
            Some(_) => {
                self.ctx.sockets().broadcast(message);
                Ok(())
            }
        }
    }
}

#[worker(objects(Scribe))]
#[derive(Clone)]
struct Scribes;

impl Worker for Scribes {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let scribe = env.durable_object::<Scribe>().get_by_name("scribe");
        scribe.fetch(req).await
    }
}

async fn serve(storage: impl Storage) -> Served {
    Served::start_with(Scribes, |server| server.storage(storage)).await
}

fn slow() -> impl Storage {
    let storage = FaultyStorage::new(MemoryStorage::new());
    storage.delay(Duration::from_millis(20));
    storage
}

#[test]
fn an_echo_behind_slow_commits_fits_its_socket() {
    within(async || {
        let served = serve(slow()).await;
        let mut ws = RawClient::open(served.addr).await;
        // Twice what may wait for a socket.
        let message = vec![7; 100_000];
        ws.send_all((0..20).map(|_| Frame::binary(&message))).await;
        for _ in 0..20 {
            ws.expect_binary(&message).await;
        }
    });
}

#[test]
fn a_flood_behind_slow_commits_closes_nobody_who_reads() {
    within(async || {
        let served = serve(slow()).await;
        let mut reader = RawClient::open(served.addr).await;
        let mut flooder = RawClient::open(served.addr).await;
        let line = "x".repeat(2000);
        let flood = encode_all((0..2000).map(|_| Frame::text(&line)));
        let flooded = tokio::spawn({
            let line = line.clone();
            async move {
                flooder.send_raw(flood).await;
                for _ in 0..2000 {
                    flooder.expect_text(&line).await;
                }
            }
        });
        for _ in 0..2000 {
            reader.expect_text(&line).await;
        }
        flooded.await.unwrap();
    });
}

#[test]
fn events_that_write_nothing_wait_too_when_much_waits_for_a_commit() {
    within(async || {
        let storage = Scripted::held();
        let served = serve(storage.clone()).await;
        let mut ws = RawClient::open(served.addr).await;
        ws.send(Frame::text("written")).await;
        let line = format!("unwritten {}", "x".repeat(1990));
        ws.send_all((0..400).map(|_| Frame::text(&line))).await;
        ws.send(Frame::ping("")).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        // Half a mebibyte of them, and the one that came next.
        let heard = UNWRITTEN.load(Ordering::SeqCst);
        assert!((200..=263).contains(&heard), "{heard}");
        storage.let_go(100);
        ws.expect_text("written").await;
        for _ in 0..400 {
            ws.expect_text(&line).await;
        }
    });
}

/// Both were sent while the socket had room, and when they leave it has room for one.
async fn two_that_leave_together(slow: Slow) -> (TestServer, TestSocket) {
    let storage = Scripted::held();
    let server = Server::new(Rooms).object::<Room>().storage(storage.clone());
    let server = server.max_buffered(100_000).slow(slow);
    let server = TestServer::start(server, Via::Memory).await.unwrap();
    let mut full = server.connect("/a").await.unwrap();
    full.stall();
    let mut writes = server.connect("/a").await.unwrap();
    for text in ["first", "second"] {
        writes.send("put k v").unwrap();
        writes
            .send(format!("others {}", text.repeat(100_000)))
            .unwrap();
    }
    writes.quiet_for(Duration::from_millis(50)).await.unwrap();
    storage.let_go(100);
    tokio::time::sleep(Duration::from_millis(100)).await;
    full.resume();
    (server, full)
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_full_when_a_commit_lets_messages_out_is_closed() {
    let (_server, mut full) = two_that_leave_together(Slow::Close).await;
    assert_eq!(full.text().await.unwrap(), "first".repeat(100_000));
    assert_eq!(full.closed().await.unwrap().code, 1013);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_full_when_a_commit_lets_messages_out_misses_them_if_told_to() {
    let (server, mut full) = two_that_leave_together(Slow::Drop).await;
    assert_eq!(full.text().await.unwrap(), "first".repeat(100_000));
    // The second is not there, and it goes on.
    assert_eq!(ask(&mut full, "get k").await, "v");
    drop(server);
}
