//! A client whose end went out before the other one was accepted.
//! Does not treat an end that is never accepted: `dropped` does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;
use wsworker::{Event, WebSocketPair};

use super::respond::Says;
use super::{Handing, KIB, expect_close, expect_text, next, only, tasks};
use crate::raw::{Frame, QUIET, RawClient, encode_all};
use crate::server::within;

#[test]
fn what_came_before_the_end_was_accepted_is_heard_in_order() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client
            .send_all((0..100).map(|i| Frame::text(i.to_string())))
            .await;
        sleep(Duration::from_millis(50)).await;
        let mut events = end.accept();
        events.send("here").unwrap();
        client.send(Frame::text("last")).await;
        for i in 0..100 {
            expect_text(&mut events, &i.to_string()).await;
        }
        expect_text(&mut events, "last").await;
        client.expect_text("here").await;
        client.send(Frame::close(1000, "")).await;
        expect_close(&mut events, 1000).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
    });
}

#[test]
fn callbacks_that_come_later_hear_everything_from_on_open_on() {
    within(async || {
        let mut server = Handing::start().await;
        let (say, mut said) = unbounded_channel();
        let (client, end) = WebSocketPair::new();
        let mut raw = RawClient::connect(server.addr).await;
        let answering = async {
            let asked = server.asked().await;
            asked.respond(client);
        };
        tokio::join!(raw.handshake_at("/late", &[]), answering);
        raw.send_all([Frame::text("a"), Frame::text("b")]).await;
        raw.expect_quiet().await;
        let ws = end.accept_with(Says(Arc::new(say)));
        for text in ["welcome", "a", "b"] {
            raw.expect_text(text).await;
        }
        ws.close_with(4000, "").unwrap();
        raw.expect_close(4000).await;
        raw.send(Frame::close(4000, "")).await;
        raw.expect_clean_eof().await;
        for wanted in ["open /late", "message a", "message b", "close 4000"] {
            assert_eq!(said.recv().await.as_deref(), Some(wanted));
        }
    });
}

#[test]
fn pings_are_answered_before_the_end_is_accepted() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client
            .send_all([Frame::text("waits"), Frame::ping("hello?")])
            .await;
        client.expect_pong(b"hello?").await;
        let mut events = end.accept();
        expect_text(&mut events, "waits").await;
    });
}

#[test]
fn a_client_is_read_only_so_far_before_its_end_is_accepted() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let narrow = RawClient::connect_narrow(server.addr).await;
        let mut client = server.open_with(|_| async { narrow }, client).await;
        let bytes = encode_all((0..3000).map(|i| Frame::text(format!("{i:>1000}"))));
        let sent = client.writer.send_until_stalled(&bytes).await;
        println!("{sent} of {} bytes were taken", bytes.len());
        assert!(sent < bytes.len(), "it is read without end");
        let mut events = end.accept();
        let rest = tokio::spawn(async move {
            client.send_raw(&bytes[sent..]).await;
            client
        });
        for i in 0..3000 {
            expect_text(&mut events, &format!("{i:>1000}")).await;
        }
        drop(rest.await.unwrap());
    });
}

#[test]
fn a_close_that_came_before_is_answered_after_what_came_before_it() {
    within(async || {
        let mut server = Handing::start_with(|s| s.close_timeout(Duration::from_secs(4))).await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client
            .send_all([Frame::text("a"), Frame::close(4003, "done")])
            .await;
        client.expect_quiet().await;
        let mut events = end.accept();
        expect_text(&mut events, "a").await;
        events.send("answer").unwrap();
        client.expect_text("answer").await;
        let close = expect_close(&mut events, 4003).await;
        assert!(close.was_clean);
        client.expect_close(4003).await;
        client.expect_clean_eof().await;
    });
}

#[test]
fn a_close_is_answered_in_time_though_nobody_accepts() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client.send(Frame::close(4003, "done")).await;
        client.expect_close(4003).await;
        client.expect_clean_eof().await;
        // Whoever comes still hears how it ended.
        let mut events = end.accept();
        assert!(expect_close(&mut events, 4003).await.was_clean);
    });
}

#[test]
fn a_client_that_left_before_is_heard_as_1006() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client.send(Frame::text("bye")).await;
        drop(client);
        sleep(QUIET).await;
        let mut events = end.accept();
        expect_text(&mut events, "bye").await;
        expect_close(&mut events, 1006).await;
        assert!(next(&mut events).await.is_none());
    });
}

#[test]
fn shutting_down_closes_a_client_that_nobody_listens_to() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        server.served.handle.shutdown();
        client.expect_close(1001).await;
        client.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
        // Whoever has the other end holds nothing up, and may still hear of it.
        server.served.returned().await;
        let mut events = end.accept();
        expect_close(&mut events, 1001).await;
    });
}

#[test]
fn a_held_client_that_is_silent_is_dropped_as_any() {
    within(async || {
        let idle = Duration::from_millis(400);
        let mut server = Handing::start_with(|s| s.idle_timeout(idle)).await;
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client.expect_ping().await;
        client.expect_eof().await;
        let mut events = end.accept();
        expect_close(&mut events, 1006).await;
    });
}

#[test]
fn the_task_that_held_ends_when_the_end_is_accepted() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        assert_eq!(tasks(), before + 1);
        let mut events = end.accept();
        client.send(Frame::text("x")).await;
        expect_text(&mut events, "x").await;
        only(before + 1).await;
        client.send(Frame::binary(vec![1; 100 * KIB])).await;
        assert!(matches!(next(&mut events).await, Some(Event::Message(m)) if m.len() == 100 * KIB));
        drop(events);
        client.expect_close(1001).await;
        drop(client);
        only(before).await;
    });
}
