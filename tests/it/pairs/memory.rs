//! Pairs whose ends are both accepted in this process.
//! Does not treat what a client does: these have none.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};
use wsworker::prelude::*;
use wsworker::{Event, State, WebSocketEvents, WebSocketPair, broadcast};

use super::respond::Says;
use super::{KIB, echo, expect_close, expect_text, next, only, tasks};
use crate::raw::DEADLINE;
use crate::server::{eventually, within};

fn accepted() -> (WebSocketEvents, WebSocketEvents) {
    let (one, other) = WebSocketPair::new();
    (one.accept(), other.accept())
}

#[test]
fn messages_go_both_ways_in_order() {
    within(async || {
        let (mut one, mut other) = accepted();
        for i in 0..500 {
            one.send(format!("to {i}")).unwrap();
            other.send(format!("fro {i}")).unwrap();
        }
        for i in 0..500 {
            expect_text(&mut other, &format!("to {i}")).await;
            expect_text(&mut one, &format!("fro {i}")).await;
        }
    });
}

#[test]
fn messages_of_every_size_arrive_whole() {
    within(async || {
        let (one, other) = accepted();
        let echoing = tokio::spawn(echo(other));
        let mut one = one;
        for size in [
            0,
            1,
            125,
            126,
            4 * KIB,
            65_535,
            65_536,
            300 * KIB,
            1024 * KIB,
        ] {
            let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
            one.send(bytes.clone()).unwrap();
            let Some(Event::Message(message)) = next(&mut one).await else {
                panic!("{size} bytes did not come back");
            };
            assert!(
                message.as_bytes() == bytes,
                "{size} bytes came back changed"
            );
        }
        one.close().unwrap();
        expect_close(&mut one, 1005).await;
        assert_eq!(echoing.await.unwrap().code, 1005);
    });
}

#[test]
fn the_closing_handshake_is_the_real_one_from_either_side() {
    within(async || {
        let before = tasks();
        for first in [false, true] {
            let (one, other) = accepted();
            let (mut closes, mut answers) = if first { (one, other) } else { (other, one) };
            closes.send("before").unwrap();
            closes.close_with(4005, "enough").unwrap();
            assert_eq!(closes.state(), State::Closing);
            assert!(closes.send("after").unwrap_err().is_closed());
            expect_text(&mut answers, "before").await;
            // The answer waits for what comes before the close to be heard.
            answers.send("unheard: it closed first").unwrap();
            let close = expect_close(&mut answers, 4005).await;
            assert!(close.was_clean && close.reason == "enough");
            let close = expect_close(&mut closes, 4005).await;
            assert!(close.was_clean);
            assert_eq!(closes.state(), State::Closed);
        }
        only(before).await;
    });
}

#[test]
fn a_message_over_the_limit_is_1009() {
    within(async || {
        let (mut one, mut other) = accepted();
        one.send(vec![0; 1024 * KIB + 1]).unwrap();
        assert!(matches!(next(&mut other).await, Some(Event::Error(e)) if e.is_protocol()));
        expect_close(&mut other, 1009).await;
        assert!(expect_close(&mut one, 1009).await.was_clean);
    });
}

#[test]
fn a_side_that_does_not_listen_slows_the_other() {
    within(async || {
        let (one, mut other) = accepted();
        let mut sent = 0;
        let full = loop {
            match one.send(vec![9; 10 * KIB]) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            tokio::task::yield_now().await;
            assert!(sent < 1000, "10 MB were taken, and nobody listens");
        };
        assert!(full.is_full(), "{full}");
        let ready = timeout(Duration::from_millis(100), one.ready()).await;
        assert!(ready.is_err(), "there is room again");
        println!("{sent} messages of 10 KiB were taken");
        for _ in 0..sent {
            assert!(matches!(next(&mut other).await, Some(Event::Message(_))));
        }
        one.ready().await.unwrap();
        one.send("and on").unwrap();
        expect_text(&mut other, "and on").await;
    });
}

/// Tells how many messages came.
#[worker]
#[derive(Clone)]
struct Counts(Arc<UnboundedSender<()>>);

impl Worker for Counts {
    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        let _ = self.0.send(());
        Ok(())
    }
}

/// Sends four times what may wait, as fast as there is room.
async fn pours(ws: WebSocket) {
    for _ in 0..POURED {
        ws.ready().await.unwrap();
        ws.send(vec![9; 10 * KIB]).unwrap();
    }
}

const POURED: usize = 400;

#[test]
fn two_ends_with_full_queues_do_not_wait_for_each_other() {
    within(async || {
        for callbacks in [[false, false], [true, true], [true, false], [false, true]] {
            let (one, other) = WebSocketPair::new();
            let (came, mut comes) = unbounded_channel();
            let came = Arc::new(came);
            let sockets = [(one, callbacks[0]), (other, callbacks[1])].map(|(end, callbacks)| {
                if callbacks {
                    return end.accept_with(Counts(came.clone()));
                }
                let mut events = end.accept();
                let (ws, came) = (events.clone(), came.clone());
                tokio::spawn(async move {
                    while let Some(Event::Message(_)) = events.next().await {
                        let _ = came.send(());
                    }
                });
                ws
            });
            // Both queues are over half before anything is read.
            let pouring = sockets.clone().map(|ws| tokio::spawn(pours(ws)));
            for i in 0..2 * POURED {
                let came = timeout(DEADLINE, comes.recv()).await;
                assert!(
                    came.is_ok(),
                    "{callbacks:?}: after {i} messages neither reads"
                );
            }
            for poured in pouring {
                poured.await.unwrap();
            }
            sockets[0].close().unwrap();
        }
    });
}

#[test]
fn callbacks_hear_a_bare_request() {
    within(async || {
        let (say, mut said) = unbounded_channel();
        let (client, server) = WebSocketPair::new();
        let ws = server.accept_with(Says(Arc::new(say)));
        let mut client = client.accept();
        expect_text(&mut client, "welcome").await;
        client.send("a").unwrap();
        expect_text(&mut client, "a").await;
        broadcast([&ws], "to all");
        expect_text(&mut client, "to all").await;
        client.close_with(CloseCode::NORMAL, "").unwrap();
        expect_close(&mut client, 1000).await;
        for wanted in ["open /", "message a", "close 1000"] {
            assert_eq!(said.recv().await.as_deref(), Some(wanted));
        }
    });
}

#[test]
fn callbacks_on_both_sides_talk_to_each_other() {
    within(async || {
        let before = tasks();
        let (say, mut said) = unbounded_channel();
        let says = Says(Arc::new(say));
        let (one, other) = WebSocketPair::new();
        let one = one.accept_with(says.clone());
        let other = other.accept_with(says);
        // Each echoes whatever comes, the other's welcome too, without an end.
        for _ in 0..100 {
            said.recv().await.unwrap();
        }
        one.close().unwrap();
        eventually("it is closed", || other.state() == State::Closed).await;
        only(before).await;
    });
}

#[test]
fn time_that_a_test_has_paused_moves_a_pair_too() {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut one, mut other) = accepted();
        let begun = Instant::now();
        one.send("hello").unwrap();
        expect_text(&mut other, "hello").await;
        // Two hours of silence: pings and pongs pass.
        tokio::time::sleep(Duration::from_secs(2 * 60 * 60)).await;
        one.send("still here").unwrap();
        expect_text(&mut other, "still here").await;
        assert!(begun.elapsed() > Duration::from_secs(7000));
        // The other asks for its events too late: the deadline of the Close comes.
        one.send("unheard").unwrap();
        one.close_with(4000, "").unwrap();
        let closing = Instant::now();
        assert!(matches!(one.next().await, Some(Event::Close(_))));
        let waited = closing.elapsed();
        assert!(waited >= Duration::from_secs(4), "{waited:?}");
        assert!(waited <= Duration::from_secs(6), "{waited:?}");
        expect_text(&mut other, "unheard").await;
        expect_close(&mut other, 4000).await;
    });
}

#[test]
fn the_two_ends_may_be_in_two_runtimes() {
    let (tell, told) = channel();
    let other = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (one, other) = WebSocketPair::new();
            tell.send(one).unwrap();
            echo(other.accept()).await
        })
    });
    let one = told.recv_timeout(DEADLINE).unwrap();
    within(async || {
        let mut one = one.accept();
        for i in 0..1000 {
            one.ready().await.unwrap();
            one.send(i.to_string()).unwrap();
            if i % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for i in 0..1000 {
            expect_text(&mut one, &i.to_string()).await;
        }
        one.close_with(4000, "").unwrap();
        expect_close(&mut one, 4000).await;
    });
    assert_eq!(other.join().unwrap().code, 4000);
}

#[test]
fn a_runtime_that_ends_closes_its_end_with_1006() {
    within(async || {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let (one, other) = WebSocketPair::new();
        // Its events are heard here, its connection runs there.
        let mut one = {
            let _inside = runtime.enter();
            one.accept()
        };
        let mut other = other.accept();
        tokio::task::spawn_blocking(move || drop(runtime))
            .await
            .unwrap();
        assert_eq!(one.state(), State::Closed);
        expect_close(&mut one, 1006).await;
        expect_close(&mut other, 1006).await;
    });
}

#[test]
fn one_end_accepted_outside_a_runtime_runs_on_the_others() {
    within(async || {
        let (one, other) = WebSocketPair::new();
        let accept = || one.accept();
        let mut one = std::thread::scope(|s| s.spawn(accept).join().unwrap());
        one.send("from outside").unwrap();
        let mut other = other.accept();
        expect_text(&mut other, "from outside").await;
        other.send("and back").unwrap();
        expect_text(&mut one, "and back").await;
    });
}

#[test]
fn two_ends_outside_any_runtime_are_a_panic_that_says_so() {
    let (one, other) = WebSocketPair::new();
    let events = one.accept();
    let accepting = std::thread::spawn(|| drop(other.accept()));
    let panic = accepting.join().unwrap_err();
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.contains("outside a tokio runtime"), "{text}");
    assert!(events.send("x").unwrap_err().is_closed());
}

#[test]
fn a_runtime_keeps_nothing_of_the_pairs_it_had() {
    within(async || {
        let before = tasks();
        for _ in 0..3 {
            let pairs: Vec<_> = (0..50).map(|_| accepted()).collect();
            for (one, _) in &pairs {
                one.send("x").unwrap();
            }
            tokio::task::yield_now().await;
            drop(pairs);
            only(before).await;
        }
    });
}
