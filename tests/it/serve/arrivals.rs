//! Connections whose first request is there before they are accepted.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tokio::sync::Notify;
use wsworker::prelude::*;

use super::{Echo, echoes};
use crate::raw::{Frame, Head, RawClient};
use crate::server::{Served, eventually, within};

/// More than are begun, or than have a turn, before others have theirs.
const MANY: usize = 150;

/// Connects and sends, while the server's thread does nothing else.
fn at_once(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> RawClient {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(bytes.as_ref()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let stream = tokio::net::TcpStream::from_std(stream).unwrap();
    RawClient::over(stream, addr.to_string(), None)
}

fn upgrade(addr: SocketAddr) -> Head {
    Head::upgrade("/", &addr.to_string())
}

#[test]
fn all_that_came_are_answered_with_what_they_sent_behind() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let first = [upgrade(server.addr).encode(), Frame::text("first").encode()].concat();
        let mut clients: Vec<_> = (0..MANY).map(|_| at_once(server.addr, &first)).collect();
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
            let mut client = at_once(server.addr, &request[..part]);
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
        let mut slow = at_once(server.addr, head.encode());
        let mut other = at_once(server.addr, upgrade(server.addr).encode());
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
        let mut client = at_once(server.addr, head.encode());
        assert_eq!(client.read_response().await.status, 400);
        client.expect_eof().await;
    });
}

#[test]
fn one_that_hangs_up_at_once_leaves() {
    within(async || {
        let mut server = Served::start(Echo).await;
        for bytes in [Vec::new(), upgrade(server.addr).encode()] {
            drop(at_once(server.addr, bytes));
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
        let mut now = at_once(server.addr, Head::get("/now", &host).encode());
        assert_eq!(now.read_response().await.status, 500);
        drop(at_once(server.addr, Head::get("/later", &host).encode()));
        for _ in 0..3 {
            let mut client = at_once(server.addr, upgrade(server.addr).encode());
            client.read_response().await.assert_upgraded();
            echoes(&mut client).await;
        }
    });
}

/// Each waits for something of the runtime's, which gives a task only so much in a turn.
#[test]
fn callbacks_that_wait_all_go_on_when_all_are_called_at_once() {
    within(async || {
        let bell = Arc::<Notify>::default();
        let server = Served::start(Panicking(bell.clone())).await;
        let first = [upgrade(server.addr).encode(), Frame::text("wait").encode()].concat();
        let mut clients: Vec<_> = (0..MANY).map(|_| at_once(server.addr, &first)).collect();
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
