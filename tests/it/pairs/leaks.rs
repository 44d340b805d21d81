//! Nothing is left of a pair, wherever what uses it is cut off.
//! Counts tasks, descriptors and connections, each test in a process of its own;
//! does not look at memory.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use wsworker::{Event, WebSocketPair};

use super::{Asked, Handing};
use crate::alone::{Held, alone};
use crate::raw::{Frame, RawClient};
use crate::server::eventually;

/// The open descriptors of this process; tests beside this one have theirs.
/// Polls a future so many times and drops it; gives whether it ended by itself.
async fn cut_off(future: impl Future, polls: usize) -> bool {
    cut_off_by(future, polls, || {}).await
}

/// As `cut_off`; does something before it drops the future.
async fn cut_off_by(future: impl Future, polls: usize, before: impl FnOnce()) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let ready = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if ready {
            return true;
        }
        tokio::task::yield_now().await;
    }
    before();
    false
}

async fn in_memory() {
    let (one, other) = WebSocketPair::new();
    let mut one = one.accept();
    one.send("early").unwrap();
    tokio::task::yield_now().await;
    let mut other = other.accept();
    for _ in 0..3 {
        let Some(Event::Message(message)) = other.next().await else {
            panic!("no message");
        };
        other.ready().await.unwrap();
        other.send(message).unwrap();
        assert!(matches!(one.next().await, Some(Event::Message(_))));
        one.send("next").unwrap();
    }
    one.close().unwrap();
    while other.next().await.is_some() {}
    while one.next().await.is_some() {}
}

#[test]
fn a_panic_at_any_point_of_a_conversation_leaves_nothing() {
    alone(async || {
        let before = Held::now();
        for polls in 0.. {
            let talking = tokio::spawn(async move {
                let ended = cut_off_by(in_memory(), polls, || panic!("as told")).await;
                assert!(ended);
            });
            let panicked = talking.await.is_err();
            before.again(&format!("poll {polls}")).await;
            if !panicked {
                println!("panicked at {polls} points");
                break;
            }
        }
    });
}

#[test]
fn a_conversation_in_memory_cut_off_at_any_point_leaves_nothing() {
    alone(async || {
        let before = Held::now();
        let mut polls = 0;
        loop {
            let ended = cut_off(in_memory(), polls).await;
            before.again(&format!("poll {polls}")).await;
            if ended {
                break;
            }
            polls += 1;
        }
        println!("cut off at {polls} points");
        assert!(polls > 5);
    });
}

#[test]
fn a_conversation_with_a_client_cut_off_at_any_point_leaves_nothing() {
    alone(async || with_a_client(false).await);
}

#[test]
fn a_panic_at_any_point_of_a_conversation_with_a_client_leaves_nothing() {
    alone(async || with_a_client(true).await);
}

async fn with_a_client(panics: bool) {
    let mut server = Handing::start().await;
    let handle = server.served.handle.clone();
    let before = Held::now();
    let mut polls = 0;
    loop {
        let mut raw = RawClient::connect(server.addr).await;
        let head = raw.upgrade().encode();
        raw.send_raw(head).await;
        raw.send_all([Frame::text("a"), Frame::text("b"), Frame::close(1000, "")])
            .await;
        let asked = server.asked().await;
        let ended = match panics {
            false => cut_off(conversation(asked), polls).await,
            true => {
                let talking = cut_off_by(conversation(asked), polls, || panic!("as told"));
                tokio::spawn(talking).await.unwrap_or(false)
            }
        };
        // Whatever it was, the client hears an end.
        let _ = raw.reader.read_to_end().await;
        drop(raw);
        before.again(&format!("poll {polls}")).await;
        eventually("no connection is open", || handle.connections() == 0).await;
        if ended {
            break;
        }
        polls += 1;
    }
    println!("cut off at {polls} points");
    assert!(polls > 3);
}

async fn conversation(asked: Asked) {
    let (client, end) = WebSocketPair::new();
    tokio::task::yield_now().await;
    asked.respond(client);
    tokio::task::yield_now().await;
    let mut events = end.accept();
    while let Some(event) = events.next().await {
        if let Event::Message(message) = event {
            tokio::task::yield_now().await;
            events.send(message).unwrap();
        }
    }
}

#[test]
fn descriptors_come_back_though_their_sockets_are_kept() {
    alone(async || {
        let mut server = Handing::start().await;
        let mut kept = Vec::new();
        let before = Held::now();
        for _ in 0..200 {
            let (client, end) = WebSocketPair::new();
            let events = end.accept();
            kept.push(events.clone());
            let client = server.open(client).await;
            drop(events);
            drop(client);
        }
        before.again("200 connections").await;
        assert_eq!(server.served.handle.connections(), 0);
        assert_eq!(kept.len(), 200);
    });
}
