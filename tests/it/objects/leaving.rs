//! Closes of an object's sockets while commits are on their way: by the object, and by a
//! server that goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsworker::storage::MemoryStorage;

use super::probe::{Probe, event, serve};
use super::storage::Scripted;
use super::*;
use crate::log::Logged;
use crate::raw::{Frame, RawClient};
use crate::server::{Served, eventually, within};

async fn served(storage: &Scripted) -> (Served, RawClient) {
    let storage = storage.clone();
    let configure = |server: Server| server.object::<Room>().storage(storage);
    let served = Served::start_with(Rooms, configure).await;
    let client = RawClient::open_at(served.addr, "/a").await;
    (served, client)
}

#[test]
fn what_waits_for_a_commit_leaves_before_the_close_of_a_server_that_goes_away() {
    within(async || {
        let storage = Scripted::held();
        let (mut served, mut client) = served(&storage).await;
        let mut idle = RawClient::open_at(served.addr, "/a").await;
        client.send_all(["incr"; 3].map(Frame::text)).await;
        eventually("the commit begins", || storage.commits() == 1).await;
        served.handle.shutdown();
        idle.send(Frame::ping("there")).await;
        idle.expect_pong(b"there").await;
        storage.let_go(2);
        for count in ["1", "2", "3"] {
            client.expect_text(count).await;
        }
        for client in [&mut client, &mut idle] {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
        }
        served.returned().await;
    });
}

#[test]
fn a_message_that_waits_for_its_object_is_answered_before_the_server_goes_away() {
    within(async || {
        let (mut served, mut client) = served(&Scripted::open()).await;
        let mut other = RawClient::open_at(served.addr, "/a").await;
        other.send(Frame::text("sleep 300")).await;
        other.send(Frame::ping("sleeps")).await;
        other.expect_pong(b"sleeps").await;
        client.send(Frame::text("incr")).await;
        client.send(Frame::ping("waits")).await;
        client.expect_pong(b"waits").await;
        served.handle.shutdown();
        client.expect_text("1").await;
        for client in [&mut client, &mut other] {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
        }
        served.returned().await;
    });
}

#[test]
fn without_anything_that_waits_a_server_that_goes_away_says_so_at_once() {
    within(async || {
        let (mut served, mut client) = served(&Scripted::open()).await;
        client.send(Frame::text("incr")).await;
        client.expect_text("1").await;
        served.handle.shutdown();
        client.expect_close(1001).await;
        client.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
        served.returned().await;
    });
}

#[test]
fn nothing_is_heard_behind_a_close_that_waits_for_its_commit() {
    within(async || {
        let storage = Scripted::held();
        let (_served, mut client) = served(&storage).await;
        let messages = ["put k v", "close-all", "get k", "no such command"];
        client.send_all(messages.map(Frame::text)).await;
        eventually("the commit begins", || storage.commits() == 1).await;
        storage.let_go(10);
        client.expect_close(4000).await;
        client.send(Frame::close(4000, "")).await;
        client.expect_clean_eof().await;
    });
}

#[tokio::test(start_paused = true)]
async fn what_came_behind_a_close_that_is_undone_is_heard() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let other = server.connect("/a").await.unwrap();
    other.send("put k v").unwrap();
    other.send("close-all").unwrap();
    ws.quiet_for(Duration::from_millis(50)).await.unwrap();
    ws.send("get k").unwrap();
    ws.quiet_for(Duration::from_millis(50)).await.unwrap();
    storage.fail(true);
    storage.let_go(1);
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(ws.text().await.unwrap());
    }
    assert!(heard.contains(&"nothing".to_owned()), "{heard:?}");
    assert!(heard.contains(&"left 1011 1".to_owned()), "{heard:?}");
}

#[test]
fn a_socket_whose_close_is_undone_while_the_server_goes_away_is_told_of_that_at_once() {
    within(async || {
        let storage = Scripted::held();
        let (mut served, mut client) = served(&storage).await;
        let mut idle = RawClient::open_at(served.addr, "/a").await;
        client
            .send_all(["put k v", "close-all"].map(Frame::text))
            .await;
        client.send(Frame::ping("heard")).await;
        client.expect_pong(b"heard").await;
        eventually("the commit begins", || storage.commits() == 1).await;
        served.handle.shutdown();
        storage.fail(true);
        storage.let_go(1);
        let mut frame = idle.read_frame().await;
        while frame.opcode == crate::raw::TEXT {
            // It may hear of the other's end first.
            frame = idle.read_frame().await;
        }
        assert_eq!(frame.close_code(), Some(1001), "{frame:?}");
        idle.send(Frame::close(1001, "")).await;
        drop(client);
        served.returned().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_object_answers_is_lost_on_the_way() {
    let logged = Logged::start();
    let (server, env) = serve::<Slow>(MemoryStorage::new()).await;
    let opening = tokio::time::timeout(Duration::from_millis(50), server.connect("/a"));
    assert!(opening.await.is_err());
    sleep(Duration::from_secs(1)).await;
    let slow = env.durable_object::<Slow>().get_by_name("a");
    let heard = slow.call(|slow: &mut Slow| Box::pin(async { Ok(slow.0.clone()) }));
    assert_eq!(heard.await.unwrap(), [(1006, false)]);
    assert!(logged.take("WebSocketPair").is_empty());
}

/// Takes its time to accept; keeps how its sockets end.
#[durable_object]
struct Slow(Vec<(u16, bool)>);

impl DurableObject for Slow {
    async fn new(_: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(Vec::new()))
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        sleep(Duration::from_millis(200)).await;
        Ok(req.upgrade()?.accept())
    }

    async fn on_close(&mut self, _: &WebSocket, close: wsworker::CloseEvent) {
        self.0.push((close.code, close.was_clean));
    }
}

/// Has an object start work of this length twice. Gives how much of it has ended.
async fn with_work(env: &Env, length: Duration) -> Arc<AtomicUsize> {
    let ended = Arc::<AtomicUsize>::default();
    let counted = ended.clone();
    let work = move || {
        let ended = counted.clone();
        async move {
            sleep(length).await;
            ended.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    };
    let started = event(env, "a", move |probe| {
        Box::pin(async move {
            probe.ctx.wait_until(work())?;
            probe.ctx.after_commit(work())
        })
    });
    started.await.unwrap();
    ended
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_waits_for_the_work_that_events_have_started() {
    let (server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let ended = with_work(&env, Duration::from_secs(8)).await;
    let _open = server.connect("/a").await.unwrap();
    drop(env);
    server.shutdown().await.unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_orderly_end_has_no_more_time_for_work_than_a_drain() {
    let logged = Logged::start();
    let (server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let ended = with_work(&env, Duration::from_secs(60)).await;
    drop(env);
    let began = Instant::now();
    server.shutdown().await.unwrap();
    let took = began.elapsed();
    // The default of `drain_timeout`.
    let drain = Duration::from_secs(10)..Duration::from_secs(11);
    assert!(drain.contains(&took), "{took:?}");
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    assert_eq!(logged.take("dropping 2 commits and works").len(), 1);
}
