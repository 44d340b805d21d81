//! Both ends of a pair returned to clients: what one says the other hears.
//! Does not treat a server behind us: `relay` does.

use std::time::Duration;

use wsworker::WebSocketPair;
use wsworker::prelude::*;

use super::{Handing, KIB, only, tasks};
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::within;

/// Two clients that talk to each other.
async fn joined(server: &mut Handing) -> (RawClient, RawClient) {
    let (one, other) = WebSocketPair::new();
    (server.open(one).await, server.open(other).await)
}

#[test]
fn messages_pings_and_closes_go_both_ways() {
    within(async || {
        let patient = |s: Server| s.close_timeout(Duration::from_secs(4));
        let mut server = Handing::start_with(patient).await;
        let before = tasks();
        let (mut a, mut b) = joined(&mut server).await;
        for i in 0..50 {
            a.send(Frame::text(format!("to {i}"))).await;
            b.expect_text(&format!("to {i}")).await;
            b.send(Frame::binary(vec![i; 5 * KIB * usize::from(i)]))
                .await;
            a.expect_binary(&vec![i; 5 * KIB * usize::from(i)]).await;
        }
        // Not answered by us, but by whom it is for.
        a.send(Frame::ping("are you there?")).await;
        a.expect_quiet().await;
        assert_eq!(b.expect_ping().await, b"are you there?");
        b.send(Frame::pong("are you there?")).await;
        a.expect_pong(b"are you there?").await;
        b.send(Frame::close(4009, "bye")).await;
        b.expect_quiet().await;
        assert_eq!(a.expect_close(4009).await, "bye");
        a.send(Frame::close(4010, "bye then")).await;
        assert_eq!(b.expect_close(4010).await, "bye then");
        a.expect_clean_eof().await;
        b.expect_clean_eof().await;
        only(before).await;
    });
}

#[test]
fn what_the_first_said_before_the_second_came_is_heard() {
    within(async || {
        let mut server = Handing::start().await;
        let (one, other) = WebSocketPair::new();
        let mut a = server.open(one).await;
        a.send_all([Frame::text("early"), Frame::text("bird")])
            .await;
        a.expect_quiet().await;
        let mut b = server.open(other).await;
        b.expect_text("early").await;
        b.expect_text("bird").await;
        b.send(Frame::text("here")).await;
        a.expect_text("here").await;
    });
}

#[test]
fn a_lost_client_is_1001_to_the_other() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (mut a, b) = joined(&mut server).await;
        drop(b);
        a.expect_close(1001).await;
        a.send(Frame::close(1001, "")).await;
        a.expect_clean_eof().await;
        only(before).await;
    });
}

#[test]
fn a_violation_closes_its_own_side_with_its_code_and_the_other_with_1001() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut a, mut b) = joined(&mut server).await;
        a.send_all([Frame::text("good"), Frame::text("\u{e9}").rsv(4)])
            .await;
        b.expect_text("good").await;
        a.expect_close(1002).await;
        b.expect_close(1001).await;
    });
}

#[test]
fn a_side_that_does_not_read_stops_the_other_and_loses_nothing() {
    within(async || {
        let mut server = Handing::start_with(|s| s.max_buffered(64 * KIB)).await;
        let (one, other) = WebSocketPair::new();
        let narrow = RawClient::connect_narrow(server.addr).await;
        let mut a = server.open_with(|_| async { narrow }, one).await;
        let narrow = RawClient::connect_narrow(server.addr).await;
        let mut b = server.open_with(|_| async { narrow }, other).await;
        let bytes = encode_all((0..1800).map(|i| Frame::text(format!("{i:>10000}"))));
        let sent = a.writer.send_until_stalled(&bytes).await;
        println!("{sent} of {} bytes were taken", bytes.len());
        assert!(sent < bytes.len(), "it is read without end");
        // The other way is free meanwhile.
        b.send(Frame::text("free")).await;
        a.expect_text("free").await;
        let (reader, mut writer) = (a.reader, a.writer);
        let writing = tokio::spawn(async move {
            writer.send_raw(&bytes[sent..]).await;
            writer
        });
        for i in 0..1800 {
            b.expect_text(&format!("{i:>10000}")).await;
        }
        drop((reader, writing.await.unwrap()));
        b.expect_close(1001).await;
    });
}

#[test]
fn our_own_pings_stay_our_own() {
    within(async || {
        let idle = Duration::from_millis(400);
        let mut server = Handing::start_with(|s| s.idle_timeout(idle)).await;
        let (mut a, mut b) = joined(&mut server).await;
        for _ in 0..3 {
            let (for_a, for_b) = (a.expect_ping().await, b.expect_ping().await);
            a.send(Frame::pong(for_a)).await;
            b.send(Frame::pong(for_b)).await;
        }
        a.send(Frame::text("still here")).await;
        b.expect_text("still here").await;
        // Whoever goes silent is lost, and the other is told.
        let mut pings = 0;
        loop {
            let frame = b.read_frame().await;
            match frame.opcode {
                crate::raw::PING => b.send(Frame::pong(frame.payload)).await,
                _ => {
                    assert_eq!(frame.close_code(), Some(1001), "{frame:?}");
                    break;
                }
            }
            pings += 1;
            assert!(pings < 10, "a silent peer is kept");
        }
    });
}

#[test]
fn shutting_down_closes_both_with_1001() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut a, mut b) = joined(&mut server).await;
        server.served.handle.shutdown();
        for client in [&mut a, &mut b] {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
        }
        a.expect_clean_eof().await;
        b.expect_clean_eof().await;
        server.served.returned().await;
    });
}
