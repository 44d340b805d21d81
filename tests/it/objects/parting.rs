//! The last Close of an object's socket, by the peer or for what it did: behind what the
//! object's events sent, which may wait for a commit.

use wsworker::storage::{Fault, FaultyStorage, MemoryStorage};

use super::storage::Scripted;
use super::*;
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Served, eventually, within};

async fn served(storage: impl Storage) -> Served {
    let configure = |server: Server| server.object::<Room>().storage(storage);
    Served::start_with(Rooms, configure).await
}

/// Commits that take so many milliseconds.
fn slow(millis: u64) -> FaultyStorage {
    let storage = FaultyStorage::new(MemoryStorage::new());
    storage.delay(Duration::from_millis(millis));
    storage
}

fn three_and(last: Frame) -> Vec<u8> {
    let incr = || Frame::text("incr");
    encode_all([incr(), incr(), incr(), last])
}

#[test]
fn what_was_asked_before_a_close_is_answered_before_it() {
    within(async || {
        for millis in [0, 1, 50] {
            let served = served(slow(millis)).await;
            for n in 0..5 {
                let path = format!("/{n}");
                let mut client = RawClient::open_at(served.addr, &path).await;
                client.send_raw(three_and(Frame::close(4001, "bye"))).await;
                for count in ["1", "2", "3"] {
                    client.expect_text(count).await;
                }
                assert_eq!(client.expect_close(4001).await, "bye");
                client.expect_clean_eof().await;
            }
        }
    });
}

#[test]
fn what_was_asked_before_a_violation_is_answered_before_its_close() {
    within(async || {
        let served = served(slow(20)).await;
        for (n, (wrong, code)) in [
            (Frame::text("x").unmasked(), 1002),
            (Frame::text([0xff]), 1007),
            (Frame::binary([]).announcing(1 << 30), 1009),
        ]
        .into_iter()
        .enumerate()
        {
            let mut client = RawClient::open_at(served.addr, &format!("/{n}")).await;
            client.send_raw(three_and(wrong)).await;
            for count in ["1", "2", "3"] {
                client.expect_text(count).await;
            }
            // What its `on_error` says to all.
            assert!(
                client
                    .read_frame()
                    .await
                    .text()
                    .starts_with("error after 3")
            );
            client.expect_close(code).await;
        }
    });
}

/// Each new commit of others would be one more to wait for.
#[test]
fn a_close_does_not_wait_for_what_others_write_after_it() {
    within(async || {
        let storage = Scripted::held();
        let served = served(storage.clone()).await;
        let mut leaves = RawClient::open_at(served.addr, "/a").await;
        let mut stays = RawClient::open_at(served.addr, "/a").await;
        leaves.send_raw(three_and(Frame::close(1000, ""))).await;
        eventually("the commit begins", || storage.commits() == 1).await;
        stays.send(Frame::ping("there")).await;
        stays.expect_pong(b"there").await;
        // The second and third increment are the next commit, and this one's is with them.
        stays.send(Frame::text("incr")).await;
        stays.send(Frame::ping("there")).await;
        stays.expect_pong(b"there").await;
        storage.let_go(1);
        leaves.expect_text("1").await;
        eventually("the next begins", || storage.commits() == 2).await;
        stays.send(Frame::text("incr")).await;
        storage.let_go(1);
        for count in ["2", "3"] {
            leaves.expect_text(count).await;
        }
        leaves.expect_close(1000).await;
        leaves.expect_clean_eof().await;
        eventually("the last begins", || storage.commits() == 3).await;
    });
}

#[test]
fn a_close_is_answered_in_time_though_the_commit_before_it_never_ends() {
    within(async || {
        let storage = Scripted::held();
        let served = served(storage.clone()).await;
        let mut client = RawClient::open_at(served.addr, "/a").await;
        client.send_raw(three_and(Frame::close(1000, ""))).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
        assert_eq!(storage.commits(), 1);
    });
}

#[test]
fn whose_commit_fails_before_its_close_is_told_so() {
    within(async || {
        let storage = std::sync::Arc::new(slow(50));
        let served = served(storage.clone()).await;
        let mut client = RawClient::open_at(served.addr, "/a").await;
        storage.fail(1, Fault::Before);
        client.send_raw(three_and(Frame::close(1000, ""))).await;
        assert!(client.read_frame().await.text().starts_with("error after"));
        client.expect_close(1011).await;
        client.expect_clean_eof().await;
    });
}

/// Notes its errors.
#[durable_object]
struct Diary(ObjectContext);

impl DurableObject for Diary {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(ctx))
    }

    async fn on_message(&mut self, _: &WebSocket, message: Message) -> Result<()> {
        match message.as_text() {
            Some("put") => self.0.storage().put("k", "v"),
            _ => Err(Error::new("as asked")),
        }
    }

    async fn on_error(&mut self, ws: &WebSocket, _: &Error) {
        self.0.storage().put("errors", &1).unwrap();
        ws.send("an error").unwrap();
    }
}

#[worker(objects(Diary))]
#[derive(Clone)]
struct Diaries;

impl Worker for Diaries {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let diary = env.durable_object::<Diary>().get_by_name(req.path());
        diary.fetch(req).await
    }
}

#[test]
fn what_an_on_error_that_writes_sends_leaves_before_the_close() {
    within(async || {
        let storage = std::sync::Arc::new(slow(20));
        let served = Served::start_with(Diaries, |server| server.storage(storage.clone())).await;
        for (path, wrong, code) in [
            ("/fails", Frame::text("fail"), 1011),
            ("/violates", Frame::text("x").unmasked(), 1002),
            ("/undone", Frame::text("put"), 1011),
        ] {
            let mut client = RawClient::open_at(served.addr, path).await;
            if path == "/undone" {
                storage.fail(1, Fault::Before);
            }
            client.send(wrong).await;
            client.expect_text("an error").await;
            client.expect_close(code).await;
        }
    });
}
