//! Connections whose first request is there before they are accepted.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;
use wsworker::prelude::*;

use super::{Echo, echoes};
use crate::raw::{Frame, Head, RawClient};
use crate::server::{Served, eventually, within};

/// More than are begun, or than have a turn, before others have theirs.
const MANY: usize = 150;

fn upgrade(addr: SocketAddr) -> Head {
    Head::upgrade("/", &addr.to_string())
}

#[test]
fn all_that_came_are_answered_with_what_they_sent_behind() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let first = [upgrade(server.addr).encode(), Frame::text("first").encode()].concat();
        let mut clients: Vec<_> = (0..MANY)
            .map(|_| RawClient::connect_with(server.addr, &first))
            .collect();
        for client in &mut clients {
            client.read_response().await.assert_upgraded();
            client.expect_text("first").await;
            echoes(client).await;
        }
        drop(clients);
        server.shut_down().await;
    });
}

#[test]
fn one_that_sent_nothing_or_a_part_is_waited_for() {
    within(async || {
        let server = Served::start(Echo).await;
        let request = upgrade(server.addr).encode();
        for part in [0, 1, request.len() - 1] {
            let mut client = RawClient::connect_with(server.addr, &request[..part]);
            echoes(&mut RawClient::open(server.addr).await).await;
            client.send_raw(&request[part..]).await;
            client.read_response().await.assert_upgraded();
            echoes(&mut client).await;
        }
    });
}

#[test]
fn an_answer_that_waits_comes_and_others_before_it() {
    within(async || {
        let server = Served::start(Echo).await;
        let head = Head::get("/slow", &server.addr.to_string());
        let mut slow = RawClient::connect_with(server.addr, head.encode());
        let mut other = RawClient::connect_with(server.addr, upgrade(server.addr).encode());
        other.read_response().await.assert_upgraded();
        echoes(&mut other).await;
        assert_eq!(slow.read_response().await.body, b"at last");
        // It goes on as any other.
        assert_eq!(slow.get("/slow").await.body, b"at last");
    });
}

#[test]
fn an_answer_that_does_not_read_the_body_arrives() {
    within(async || {
        let server = Served::start(Echo).await;
        let head = upgrade(server.addr).with("Content-Length", "3");
        let mut client = RawClient::connect_with(server.addr, head.encode());
        assert_eq!(client.read_response().await.status, 400);
        client.expect_eof().await;
    });
}

#[test]
fn one_that_hangs_up_at_once_leaves() {
    within(async || {
        let mut server = Served::start(Echo).await;
        for bytes in [Vec::new(), upgrade(server.addr).encode()] {
            drop(RawClient::connect_with(server.addr, bytes));
        }
        echoes(&mut RawClient::open(server.addr).await).await;
        eventually("they have left", || server.handle.connections() == 0).await;
        server.shut_down().await;
    });
}

/// Panics where it is dropped, and where it is asked to.
#[worker]
#[derive(Clone)]
struct Panicking(Arc<Notify>);

struct Falls;

impl Drop for Falls {
    fn drop(&mut self) {
        panic!("on purpose, as it is dropped");
    }
}

impl Worker for Panicking {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        match req.path() {
            "/now" => panic!("on purpose"),
            "/later" => {
                let _falls = Falls;
                self.0.notified().await;
                Response::error("not to be seen", 500)
            }
            _ => Ok(req.upgrade()?.accept()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        if message.as_text() == Some("wait") {
            self.0.notified().await;
        }
        ws.send(message)
    }
}

#[test]
fn a_panic_ends_its_own_connection_alone() {
    within(async || {
        let server = Served::start(Panicking(Arc::default())).await;
        let host = server.addr.to_string();
        let mut now = RawClient::connect_with(server.addr, Head::get("/now", &host).encode());
        assert_eq!(now.read_response().await.status, 500);
        drop(RawClient::connect_with(
            server.addr,
            Head::get("/later", &host).encode(),
        ));
        for _ in 0..3 {
            let mut client = RawClient::connect_with(server.addr, upgrade(server.addr).encode());
            client.read_response().await.assert_upgraded();
            echoes(&mut client).await;
        }
    });
}

/// As an acceptor has all its connections at once, it must pause by itself.
#[test]
fn others_have_their_turn_while_many_arrive() {
    const ARRIVE: usize = 600;
    within(async || {
        let server = Served::start(Echo).await;
        let connect = |_| TcpStream::connect(server.addr).unwrap();
        let clients: Vec<_> = (0..ARRIVE).map(connect).collect();
        let (mut came, mut most) = (0, 0);
        while came < ARRIVE {
            yield_now().await;
            let now = server.handle.connections();
            most = most.max(now - came);
            came = now;
        }
        assert!(most < ARRIVE / 2, "{most} of {ARRIVE} came in one turn");
        drop(clients);
    });
}

/// Each waits for something of the runtime's, which gives a task only so much in a turn.
#[test]
fn callbacks_that_wait_all_go_on_when_all_are_called_at_once() {
    within(async || {
        let bell = Arc::<Notify>::default();
        let server = Served::start(Panicking(bell.clone())).await;
        let first = [upgrade(server.addr).encode(), Frame::text("wait").encode()].concat();
        let mut clients: Vec<_> = (0..MANY)
            .map(|_| RawClient::connect_with(server.addr, &first))
            .collect();
        for client in &mut clients {
            client.read_response().await.assert_upgraded();
        }
        // What comes behind is heard behind.
        for client in &mut clients {
            client.send(Frame::text("behind")).await;
        }
        echoes(&mut RawClient::open(server.addr).await).await;
        bell.notify_waiters();
        for client in &mut clients {
            client.expect_text("wait").await;
            client.expect_text("behind").await;
        }
    });
}

/// Answers "wait" once the bell rings. For each message it has something of the runtime's
/// a few times, as whoever shares a lock does.
#[worker]
#[derive(Clone)]
struct Sharing {
    bell: Arc<Notify>,
    lock: Arc<Semaphore>,
}

impl Worker for Sharing {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        if message.as_text() == Some("wait") {
            self.bell.notified().await;
        }
        for _ in 0..4 {
            drop(self.lock.acquire().await?);
        }
        ws.send(message)
    }
}

#[test]
fn one_that_is_called_has_its_turn_among_many_that_always_send() {
    const CHATS: usize = 60;
    const ROUNDS: usize = 2_000;
    within(async || {
        let (bell, lock) = (
            Arc::<Notify>::default(),
            Arc::new(Semaphore::new(CHATS + 1)),
        );
        let server = Served::start(Sharing {
            bell: bell.clone(),
            lock,
        })
        .await;
        let mut waits = RawClient::open(server.addr).await;
        waits.send(Frame::text("wait")).await;
        let (rounds, answered) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut chats = Vec::new();
        for _ in 0..CHATS {
            let mut client = RawClient::open(server.addr).await;
            let (rounds, answered) = (rounds.clone(), answered.clone());
            chats.push(tokio::spawn(async move {
                while !answered.load(Ordering::Relaxed) {
                    echoes(&mut client).await;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        while rounds.load(Ordering::Relaxed) < CHATS {
            yield_now().await;
        }
        let before = rounds.load(Ordering::Relaxed);
        bell.notify_waiters();
        waits.expect_text("wait").await;
        let meanwhile = rounds.load(Ordering::Relaxed) - before;
        answered.store(true, Ordering::Relaxed);
        assert!(
            meanwhile < ROUNDS,
            "{meanwhile} others were answered before it"
        );
        for chat in chats {
            chat.await.unwrap();
        }
    });
}

/// Its callback never has to wait for anything, until another connection ends that.
#[worker]
#[derive(Clone)]
struct Busy {
    ended: Arc<AtomicBool>,
    lock: Arc<Semaphore>,
}

impl Worker for Busy {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        match message.as_text() {
            Some("go on") => {
                while !self.ended.load(Ordering::Relaxed) {
                    drop(self.lock.acquire().await?);
                }
            }
            _ => self.ended.store(true, Ordering::Relaxed),
        }
        ws.send(message)
    }
}

#[test]
fn sockets_are_looked_at_while_a_callback_never_rests() {
    within(async || {
        let server = Served::start(Busy {
            ended: Arc::default(),
            lock: Arc::new(Semaphore::new(1)),
        })
        .await;
        let mut busy = RawClient::open(server.addr).await;
        let mut other = RawClient::open(server.addr).await;
        busy.send(Frame::text("go on")).await;
        other.send(Frame::text("end")).await;
        other.expect_text("end").await;
        busy.expect_text("go on").await;
    });
}
