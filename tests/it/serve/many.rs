//! Many connections of one thread: ready at once, and called from other threads.

use std::sync::{Arc, Mutex};
use std::thread;

use wsworker::prelude::*;

use super::Echo;
use crate::raw::{Frame, RawClient};
use crate::server::{Served, eventually, within};

/// More than one look at the poller tells of.
const MANY: usize = 1100;

async fn clients(server: &Served) -> Vec<RawClient> {
    let mut clients = Vec::new();
    for _ in 0..MANY {
        clients.push(RawClient::open(server.addr).await);
    }
    clients
}

#[test]
fn all_are_served_that_become_ready_at_once() {
    within(async || {
        let server = Served::start(Echo).await;
        let mut clients = clients(&server).await;
        for round in ["one", "two", "three"] {
            for client in &mut clients {
                client.send(Frame::text(round)).await;
            }
            for client in &mut clients {
                client.expect_text(round).await;
            }
        }
    });
}

#[test]
fn all_that_end_at_once_leave() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let mut clients = clients(&server).await;
        let last = clients.split_off(MANY - 1);
        drop(clients);
        for mut client in last {
            client.send(Frame::text("still there")).await;
            client.expect_text("still there").await;
            client.close().await;
        }
        server.shut_down().await;
    });
}

/// Gives its sockets away.
#[worker]
#[derive(Clone)]
struct Giving(Arc<Mutex<Vec<WebSocket>>>);

impl Worker for Giving {
    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        self.0.lock().unwrap().push(ws.clone());
        Ok(())
    }

    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_other_threads_send_reaches_each_that_is_idle_in_order() {
    const THREADS: usize = 3;
    const MESSAGES: usize = 20;
    within(async || {
        let given = Arc::default();
        let server = Served::start(Giving(Arc::clone(&given))).await;
        let mut clients = clients(&server).await;
        eventually("all are open", || given.lock().unwrap().len() == MANY).await;
        let sockets = given.lock().unwrap().clone();
        let senders = [(); THREADS].map(|()| {
            let sockets = sockets.clone();
            thread::spawn(move || {
                for message in 0..MESSAGES {
                    for ws in &sockets {
                        ws.send(message.to_string()).unwrap();
                    }
                }
            })
        });
        for client in &mut clients {
            let mut next = [0; MESSAGES];
            for _ in 0..THREADS * MESSAGES {
                let message: usize = client.read_frame().await.text().parse().unwrap();
                next[message] += 1;
                // Each thread's are in order: no number comes more often than the one before.
                assert!(
                    message == 0 || next[message] <= next[message - 1],
                    "{next:?}"
                );
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}
