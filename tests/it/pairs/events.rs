//! `WebSocketEvents`: order, cancelled calls, backpressure, and what a drop does.
//! Does not treat how its socket came about.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{sleep, timeout};
use wsworker::{Event, State, WebSocketPair};

use super::{
    Handing, KIB, echo, expect_close, expect_quiet, expect_text, next, only, opened, tasks,
};
use crate::raw::{CLOSE, Frame, RawClient, encode_all};
use crate::server::{CLOSE_TIMEOUT, eventually, within};

#[test]
fn a_violation_is_an_error_and_then_a_close_behind_the_messages() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        let frames = [
            Frame::text("a"),
            Frame::text("b"),
            Frame::text("c").unmasked(),
            Frame::text("d"),
        ];
        client.send_all(frames).await;
        expect_text(&mut events, "a").await;
        expect_text(&mut events, "b").await;
        match next(&mut events).await {
            Some(Event::Error(error)) => assert!(error.is_protocol(), "{error}"),
            other => panic!("wanted an error, got {other:?}"),
        }
        assert!(!expect_close(&mut events, 1002).await.was_clean);
        client.expect_close(1002).await;
    });
}

#[test]
fn a_lost_client_is_1006_behind_the_messages() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        client.send_all([Frame::text("a"), Frame::text("b")]).await;
        drop(client);
        sleep(Duration::from_millis(50)).await;
        expect_text(&mut events, "a").await;
        expect_text(&mut events, "b").await;
        assert!(!expect_close(&mut events, 1006).await.was_clean);
    });
}

#[test]
fn a_close_is_answered_behind_the_answers_to_the_messages_before_it() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, events) = opened(&mut server).await;
        let echoing = tokio::spawn(async move {
            let mut events = events;
            while let Some(event) = events.next().await {
                let Event::Message(message) = event else {
                    return event;
                };
                sleep(Duration::from_millis(20)).await;
                events.send(message).unwrap();
            }
            panic!("no close");
        });
        let frames = [Frame::text("a"), Frame::text("b"), Frame::close(4001, "x")];
        client.send_all(frames).await;
        client.expect_text("a").await;
        client.expect_text("b").await;
        assert_eq!(client.expect_close(4001).await, "x");
        client.expect_clean_eof().await;
        assert!(matches!(echoing.await.unwrap(), Event::Close(close) if close.was_clean));
    });
}

#[test]
fn a_close_is_answered_in_time_though_nobody_asks_for_events() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        client
            .send_all([Frame::text("a"), Frame::close(1000, "")])
            .await;
        let begun = std::time::Instant::now();
        client.expect_close(1000).await;
        let took = begun.elapsed();
        assert!(took >= CLOSE_TIMEOUT / 2, "{took:?}");
        client.expect_clean_eof().await;
        assert!(events.send("late").unwrap_err().is_closed());
        // Nothing that was there is lost.
        expect_text(&mut events, "a").await;
        expect_close(&mut events, 1000).await;
    });
}

#[test]
fn a_close_nobody_has_to_be_waited_for_is_answered_at_once() {
    within(async || {
        let mut server = Handing::start_with(|s| s.close_timeout(Duration::from_secs(20))).await;
        let (mut client, mut events) = opened(&mut server).await;
        let asking = tokio::spawn(async move { next(&mut events).await });
        sleep(Duration::from_millis(20)).await;
        client.send(Frame::close(1000, "")).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
        assert!(matches!(asking.await.unwrap(), Some(Event::Close(_))));
        // The same if what was asked for was given up.
        let (mut client, mut events) = opened(&mut server).await;
        expect_quiet(&mut events).await;
        client.send(Frame::close(1000, "")).await;
        client.expect_close(1000).await;
        expect_close(&mut events, 1000).await;
    });
}

#[test]
fn after_a_close_of_ones_own_no_message_is_heard() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        client
            .send_all((0..10).map(|i| Frame::text(i.to_string())))
            .await;
        expect_text(&mut events, "0").await;
        let ws = events.clone();
        ws.close_with(4000, "").unwrap();
        let closing = tokio::spawn(async move { expect_close(&mut events, 4000).await });
        client.expect_close(4000).await;
        client
            .send_all([Frame::text("late"), Frame::close(4000, "")])
            .await;
        client.expect_clean_eof().await;
        assert!(closing.await.unwrap().was_clean);
    });
}

#[test]
fn a_client_pings_while_nobody_asks_and_gets_its_pongs() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        for i in 0..20 {
            let payload = format!("ping {i}");
            client
                .send_all([Frame::text(i.to_string()), Frame::ping(&payload)])
                .await;
            client.expect_pong(payload.as_bytes()).await;
        }
        for i in 0..20 {
            expect_text(&mut events, &i.to_string()).await;
        }
    });
}

#[test]
fn a_client_is_kept_alive_while_nobody_asks() {
    within(async || {
        let idle = Duration::from_millis(400);
        let mut server = Handing::start_with(|s| s.idle_timeout(idle)).await;
        let (mut client, mut events) = opened(&mut server).await;
        for _ in 0..4 {
            let payload = client.expect_ping().await;
            client.send(Frame::pong(payload)).await;
        }
        client.send(Frame::text("still here")).await;
        expect_text(&mut events, "still here").await;
        client.expect_ping().await;
        client.expect_eof().await;
        expect_close(&mut events, 1006).await;
    });
}

#[test]
fn a_client_is_read_only_so_far_ahead_and_nothing_is_lost() {
    within(async || {
        const COUNT: usize = 3000;
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut events = end.accept();
        let narrow = RawClient::connect_narrow(server.addr).await;
        let mut client = server.open_with(|_| async { narrow }, client).await;
        let bytes = encode_all((0..COUNT).map(|i| Frame::text(format!("{i:>1000}"))));
        let sent = client.writer.send_until_stalled(&bytes).await;
        // Most of it are the kernel's buffers.
        assert!(sent < bytes.len(), "it is read without end");
        println!("{sent} of {} bytes were taken", bytes.len());
        let rest = tokio::spawn(async move {
            client.send_raw(&bytes[sent..]).await;
            client
        });
        for i in 0..COUNT {
            expect_text(&mut events, &format!("{i:>1000}")).await;
        }
        rest.await.unwrap().close_with_nobody_asking().await;
    });
}

impl RawClient {
    /// Closes; the answer comes at the deadline.
    async fn close_with_nobody_asking(mut self) {
        self.send(Frame::close(1000, "")).await;
        self.expect_close(1000).await;
    }
}

#[test]
fn one_message_larger_than_the_read_ahead_comes_whole() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, mut events) = opened(&mut server).await;
        let large = vec![5; 900 * KIB];
        let frames = encode_all([Frame::text("a"), Frame::binary(&large), Frame::text("b")]);
        let mut writer = client.writer;
        let writing = tokio::spawn(async move {
            writer.send_raw(frames).await;
            writer
        });
        sleep(Duration::from_millis(50)).await;
        expect_text(&mut events, "a").await;
        assert!(
            matches!(next(&mut events).await, Some(Event::Message(m)) if m.as_bytes() == large)
        );
        expect_text(&mut events, "b").await;
        drop((client.reader, writing.await.unwrap()));
    });
}

#[test]
fn an_event_loop_slows_a_client_that_does_not_read() {
    within(async || {
        let mut server = Handing::start_with(|s| s.max_buffered(64 * KIB)).await;
        let (client, end) = WebSocketPair::new();
        let echoing = tokio::spawn(async move {
            let mut events = end.accept();
            while let Some(Event::Message(message)) = events.next().await {
                events.ready().await.unwrap();
                events.send(message).unwrap();
            }
        });
        let narrow = RawClient::connect_narrow(server.addr).await;
        let mut client = server.open_with(|_| async { narrow }, client).await;
        let bytes = encode_all((0..1200).map(|i| Frame::text(format!("{i:>10000}"))));
        let sent = client.writer.send_until_stalled(&bytes).await;
        assert!(sent < bytes.len(), "everything was taken and nothing read");
        let (mut reader, mut writer) = (client.reader, client.writer);
        let writing = tokio::spawn(async move {
            writer.send_raw(&bytes[sent..]).await;
            writer
        });
        for i in 0..1200 {
            assert_eq!(reader.read_frame().await.text(), format!("{i:>10000}"));
        }
        let mut writer = writing.await.unwrap();
        writer.send_raw(Frame::close(1000, "").encode()).await;
        assert_eq!(reader.read_frame().await.opcode, CLOSE);
        echoing.await.unwrap();
    });
}

#[test]
fn cancelled_calls_lose_nothing() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    within(async move || {
        const COUNT: usize = 2000;
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        let mut chunks = Vec::new();
        let mut i = 0;
        while i < COUNT {
            let n = rng.random_range(1..60).min(COUNT - i);
            let frames = (i..i + n).map(|i| Frame::text(i.to_string()));
            chunks.push((encode_all(frames), rng.random_range(0..300)));
            i += n;
        }
        let sending = tokio::spawn(async move {
            for (chunk, pause) in chunks {
                client.send_raw(chunk).await;
                sleep(Duration::from_micros(pause)).await;
            }
            client
        });
        let mut heard = 0;
        while heard < COUNT {
            let patience = Duration::from_micros(rng.random_range(0..400));
            let event = match rng.random_range(0..4) {
                // Polled once and dropped.
                0 => tokio::select! {
                    biased;
                    event = events.next() => event,
                    () = std::future::ready(()) => continue,
                },
                1 => tokio::select! {
                    event = events.next() => event,
                    () = sleep(patience) => continue,
                },
                2 => match timeout(patience, events.next()).await {
                    Ok(event) => event,
                    Err(_) => continue,
                },
                _ => next(&mut events).await,
            };
            match event {
                Some(Event::Message(message)) => {
                    assert_eq!(message.as_text(), Some(&*heard.to_string()), "seed {seed}");
                }
                other => panic!("{other:?} after {heard}, seed {seed}"),
            }
            heard += 1;
        }
        let mut client = sending.await.unwrap();
        client.send(Frame::close(1000, "")).await;
        expect_close(&mut events, 1000).await;
    });
}

#[test]
fn events_are_a_stream() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        client
            .send_all([Frame::text("a"), Frame::close(1000, "")])
            .await;
        let mut seen = Vec::new();
        while let Some(event) = poll_fn(|cx| Pin::new(&mut events).poll_next(cx)).await {
            seen.push(event);
        }
        assert!(matches!(&seen[..], [Event::Message(m), Event::Close(c)]
            if m.as_text() == Some("a") && c.code == 1000));
    });
}

#[test]
fn events_that_are_dropped_close_with_1001_and_nothing_more_is_heard() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (mut client, events) = opened(&mut server).await;
        client
            .send_all((0..100).map(|i| Frame::text(i.to_string())))
            .await;
        let ws = events.clone();
        ws.send("last").unwrap();
        drop(events);
        assert!(ws.send("late").unwrap_err().is_closed());
        client.expect_text("last").await;
        client.expect_close(1001).await;
        client
            .send_all((0..100).map(|i| Frame::text(i.to_string())))
            .await;
        client.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
        eventually("it is closed", || ws.state() == State::Closed).await;
        only(before).await;
    });
}

#[test]
fn a_task_that_panics_closes_with_1011() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        let panics = tokio::spawn(async move {
            let event = events.next().await;
            panic!("as told, after {event:?}");
        });
        client.send(Frame::text("x")).await;
        let reason = client.expect_close(1011).await;
        assert_eq!(reason, "");
        assert!(panics.await.unwrap_err().is_panic());
    });
}

#[test]
fn a_task_that_is_aborted_closes_with_1001() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (mut client, events) = opened(&mut server).await;
        let echoing = tokio::spawn(echo(events));
        super::echoes(&mut client, "x").await;
        echoing.abort();
        client.expect_close(1001).await;
        drop(client);
        only(before).await;
    });
}

#[test]
fn events_may_be_asked_for_in_another_runtime() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, events) = opened(&mut server).await;
        let other = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.build().unwrap();
            runtime.block_on(echo(events))
        });
        let mut client = client;
        for i in 0..200 {
            super::echoes(&mut client, &i.to_string()).await;
        }
        client.close().await;
        assert_eq!(other.join().unwrap().code, 1000);
    });
}
