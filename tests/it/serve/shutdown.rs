//! Shutting down.
//! Does not treat the signals that ask for it: `process` does.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wsworker::prelude::*;

use super::Echo;
use crate::raw::{DEADLINE, Frame, Head, RawClient};
use crate::server::{DRAIN_TIMEOUT, Event, Recorded, Served, within};

#[test]
fn shutdown_says_1001_to_all_and_serve_returns() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(RawClient::open(server.addr).await);
            server.expect(Event::Open).await;
        }
        let begun = Instant::now();
        server.served.handle.shutdown();
        for mut client in clients {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
            server.expect(Event::clean(1001, "")).await;
        }
        assert_eq!(server.finish().await, []);
        assert!(begun.elapsed() < DRAIN_TIMEOUT, "it waited for nobody");
    });
}

#[test]
fn no_connection_is_taken_after_shutdown() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let addr = server.addr;
        // It stays, so that the server still drains.
        let mut held = RawClient::open(addr).await;
        server.handle.shutdown();
        held.expect_close(1001).await;
        let connect = timeout(DEADLINE, TcpStream::connect(addr)).await.unwrap();
        assert!(connect.is_err(), "a connection is taken while draining");
        server.returned().await;
        let connect = TcpStream::connect(addr).await;
        assert!(connect.is_err(), "a connection is taken after serve");
    });
}

#[test]
fn a_peer_that_never_answers_is_dropped_at_the_drain_deadline() {
    within(async || {
        let mut server = Recorded::start_with(|s| {
            s.close_timeout(Duration::from_secs(10))
                .drain_timeout(Duration::from_millis(300))
        })
        .await;
        let mut client = RawClient::open(server.addr).await;
        server.expect(Event::Open).await;
        let begun = Instant::now();
        server.served.handle.shutdown();
        client.expect_close(1001).await;
        client.expect_eof().await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1000), "{took:?}");
        assert!(took > Duration::from_millis(200), "{took:?}");
    });
}

#[test]
fn a_handler_may_end_its_message_while_draining() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        server.served.handle.shutdown();
        sleep(Duration::from_millis(100)).await;
        server.release();
        let mut frame = client.read_frame().await;
        if frame.opcode == crate::raw::TEXT {
            frame = client.read_frame().await;
        }
        assert_eq!(frame.close_code(), Some(1001));
        client.send(Frame::close(1001, "")).await;
        client.expect_eof().await;
        let rest = server.finish().await;
        let closes = rest.iter().filter(|e| matches!(e, Event::Close { .. }));
        assert_eq!(closes.count(), 1, "{rest:?}");
    });
}

#[test]
fn a_handler_that_never_ends_does_not_hold_up_shutdown() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let begun = Instant::now();
        server.served.handle.shutdown();
        client.expect_close(1001).await;
        client.expect_eof().await;
        server.served.returned().await;
        let took = begun.elapsed();
        assert!(took < DRAIN_TIMEOUT * 2, "{took:?}");
        // This process lives on, and the handler may end after all.
        server.release();
        let rest = server.finish().await;
        let closes = rest.iter().filter(|e| matches!(e, Event::Close { .. }));
        assert_eq!(closes.count(), 1, "on_close is once all the same: {rest:?}");
    });
}

#[test]
fn a_request_begun_before_shutdown_is_answered() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::get("/slow", client.host());
        client.send_raw(head.encode()).await;
        sleep(Duration::from_millis(100)).await;
        server.handle.shutdown();
        let answer = client.read_response().await;
        assert_eq!((answer.status, answer.text()), (200, "at last"));
        client.expect_eof().await;
        server.returned().await;
    });
}

#[test]
fn idle_and_half_open_requests_do_not_hold_up_shutdown() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let mut idle = RawClient::connect(server.addr).await;
        idle.send_raw(Head::get("/who", idle.host()).encode()).await;
        idle.read_response().await;
        let silent = RawClient::connect(server.addr).await;
        let mut half = RawClient::connect(server.addr).await;
        half.send_raw("GET / HT").await;
        sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        server.shut_down().await;
        let took = begun.elapsed();
        assert!(
            took < DRAIN_TIMEOUT + Duration::from_millis(500),
            "{took:?}"
        );
        idle.expect_eof().await;
        drop((silent, half));
    });
}

#[test]
fn shutdown_without_connections_is_at_once_and_may_be_said_twice() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let handle = server.handle.clone();
        handle.shutdown();
        handle.shutdown();
        let begun = Instant::now();
        server.returned().await;
        assert!(begun.elapsed() < DRAIN_TIMEOUT / 2);
        handle.shutdown();
        assert_eq!(handle.connections(), 0);
    });
}

#[test]
fn shutdown_before_serve_is_not_lost() {
    within(async || {
        let server = Server::new(Echo).bind("127.0.0.1:0");
        let listening = server.listen().await.unwrap();
        listening.handle().shutdown();
        let served = timeout(DEADLINE, listening.serve()).await;
        served.expect("serve does not return").unwrap();
    });
}
