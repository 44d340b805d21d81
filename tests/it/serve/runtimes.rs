//! The runtimes that a server serves in, of one thread and of many.
//! Does not treat those that `run` makes: `process` does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use wsworker::broadcast;
use wsworker::prelude::*;

use super::{Echo, echoes, tcp};
use crate::raw::{DEADLINE, Frame, RawClient};
use crate::server::{eventually, within};

#[test]
fn run_inside_a_runtime_is_an_error_that_names_the_way() {
    within(async || {
        let error = wsworker::run(Echo).unwrap_err().to_string();
        assert!(error.contains("Server"), "{error}");
        assert!(error.contains("serve()"), "{error}");
    });
}

fn serves_in(runtime: tokio::runtime::Builder) {
    serves_in_with(runtime, Echo, async |addr| {
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(RawClient::open(addr).await);
        }
        for client in &mut clients {
            echoes(client).await;
        }
        for client in clients {
            client.close().await;
        }
    });
}

/// Serves the worker in a runtime of its own while the test runs in another.
fn serves_in_with(
    mut runtime: tokio::runtime::Builder,
    worker: impl Worker,
    test: impl AsyncFnOnce(SocketAddr) + Send + 'static,
) {
    let (tell, told) = mpsc::channel();
    let server = thread::spawn(move || {
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::new(worker).bind("127.0.0.1:0");
            let listening = server.listen().await.unwrap();
            tell.send((tcp(&listening, 0), listening.handle())).unwrap();
            listening.serve().await
        })
    });
    let (addr, handle) = told.recv_timeout(DEADLINE).unwrap();
    within(async move || test(addr).await);
    handle.shutdown();
    server.join().unwrap().unwrap();
}

#[test]
fn a_runtime_of_one_thread_serves() {
    serves_in(tokio::runtime::Builder::new_current_thread());
}

#[test]
fn a_runtime_of_many_threads_serves() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4);
    serves_in(builder);
}

/// Else it would be found out by the first connection that is slow.
#[test]
#[should_panic(expected = "timers are disabled")]
fn a_runtime_without_time_is_found_out_at_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let _ = runtime.block_on(Server::new(Echo).bind("127.0.0.1:0").listen());
}

#[test]
fn serve_without_listen_serves_and_ends_with_its_future() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let serving = tokio::spawn(Server::new(Echo).bind(path.clone()).serve());
        eventually("it listens", || path.exists()).await;
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        echoes(&mut client).await;
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        // Its connections end as after a shutdown.
        client.expect_close(1001).await;
        client.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
    });
}

/// Tells everyone what anyone says.
#[worker]
#[derive(Clone)]
struct Room {
    members: Arc<Mutex<Vec<WebSocket>>>,
}

impl Worker for Room {
    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        self.members.lock().unwrap().push(ws.clone());
        ws.send("welcome")
    }

    async fn on_message(&mut self, _ws: &WebSocket, message: Message) -> Result<()> {
        let members = self.members.lock().unwrap().clone();
        broadcast(&members, message);
        Ok(())
    }

    async fn on_close(&mut self, ws: &WebSocket, _close: CloseEvent) {
        self.members.lock().unwrap().retain(|member| member != ws);
    }
}

#[test]
fn a_room_over_many_threads_loses_nothing_and_keeps_each_senders_order() {
    const MEMBERS: usize = 12;
    const MESSAGES: usize = 200;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4);
    let members = Arc::default();
    serves_in_with(builder, Room { members }, async |addr| {
        let mut clients = Vec::new();
        for _ in 0..MEMBERS {
            let mut client = RawClient::open(addr).await;
            client.expect_text("welcome").await;
            clients.push(client);
        }
        for (who, client) in clients.iter_mut().enumerate() {
            let said = (0..MESSAGES).map(|i| Frame::text(format!("{who} {i}")));
            client.send_all(said).await;
        }
        for client in &mut clients {
            let mut next = [0; MEMBERS];
            for _ in 0..MEMBERS * MESSAGES {
                let frame = client.read_frame().await;
                let (who, i) = frame.text().split_once(' ').unwrap();
                let who: usize = who.parse().unwrap();
                assert_eq!(i, next[who].to_string(), "from {who}");
                next[who] += 1;
            }
        }
        for client in clients {
            client.close().await;
        }
    });
}

#[test]
fn members_may_come_and_go_while_others_talk() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4);
    let members = Arc::default();
    serves_in_with(builder, Room { members }, async |addr| {
        let mut stays = RawClient::open(addr).await;
        stays.expect_text("welcome").await;
        for round in 0..100 {
            let mut goes = RawClient::open(addr).await;
            goes.send(Frame::text(format!("round {round}"))).await;
            if round % 2 == 0 {
                // Gone with unread messages, or with none.
                goes.expect_text("welcome").await;
            }
            stays.expect_text(&format!("round {round}")).await;
        }
        stays.close().await;
    });
}
