//! How a client and the server behind us hear of each other's end.

use std::time::Duration;

use wsworker::prelude::*;

use super::{Conn, KIB, Proxied, Upstream, only, tasks};
use crate::raw::{CLOSE, Frame, PING, QUIET, RawClient};
use crate::server::{CLOSE_TIMEOUT, eventually, within};

#[test]
fn a_clients_close_goes_to_the_server_whose_answer_comes_back() {
    within(async || {
        let proxied = Proxied::start().await;
        let before = tasks();
        let (mut client, mut server) = proxied.open().await;
        client
            .send_all([Frame::text("last"), Frame::close(4001, "bye")])
            .await;
        server.expect_text("last").await;
        assert_eq!(server.expect_close(4001).await, "bye");
        client.expect_quiet().await;
        // It has not closed yet.
        server.send(Frame::text("one moment")).await;
        client.expect_text("one moment").await;
        server.send(Frame::close(4002, "good bye")).await;
        assert_eq!(client.expect_close(4002).await, "good bye");
        client.expect_clean_eof().await;
        server.finish().await;
        only(before).await;
    });
}

#[test]
fn a_servers_close_goes_to_the_client_whose_answer_comes_back() {
    within(async || {
        let proxied = Proxied::start().await;
        let before = tasks();
        let (mut client, mut server) = proxied.open().await;
        server
            .send_all([Frame::text("last"), Frame::close(3000, "over")])
            .await;
        client.expect_text("last").await;
        assert_eq!(client.expect_close(3000).await, "over");
        server.expect_quiet().await;
        client.send(Frame::close(3001, "")).await;
        client.expect_clean_eof().await;
        server.expect_close(3001).await;
        server.finish().await;
        only(before).await;
    });
}

#[test]
fn a_close_without_a_code_stays_without_one() {
    within(async || {
        let proxied = Proxied::start().await;
        let (mut client, mut server) = proxied.open().await;
        client.send(Frame::close_empty()).await;
        server.expect_empty_close().await;
        server.send(Frame::close_empty()).await;
        client.expect_empty_close().await;
        client.expect_clean_eof().await;
        let (mut client, mut server) = proxied.open().await;
        server.send(Frame::close_empty()).await;
        client.expect_empty_close().await;
        client.send(Frame::close_empty()).await;
        server.expect_empty_close().await;
        server.finish().await;
    });
}

#[test]
fn a_close_that_the_other_side_does_not_answer_is_answered_in_time() {
    within(async || {
        let upstream = Upstream::start().await;
        let hasty = |s: Server| s.close_timeout(CLOSE_TIMEOUT);
        let proxied = Proxied::start_with(upstream, hasty).await;
        let (mut client, mut server) = proxied.open().await;
        let begun = std::time::Instant::now();
        client.send(Frame::close(4001, "bye")).await;
        server.expect_close(4001).await;
        client.expect_close(4001).await;
        let took = begun.elapsed();
        assert!(took >= CLOSE_TIMEOUT / 2, "{took:?}");
        client.expect_clean_eof().await;
        server.expect_eof().await;
    });
}

#[test]
fn closes_that_cross_both_arrive() {
    within(async || {
        let proxied = Proxied::start().await;
        let before = tasks();
        for _ in 0..20 {
            let (mut client, mut server) = proxied.open().await;
            tokio::join!(
                client.send(Frame::close(4001, "c")),
                server.send(Frame::close(4002, "s")),
            );
            assert_eq!(client.expect_close(4002).await, "s");
            assert_eq!(server.expect_close(4001).await, "c");
            client.expect_clean_eof().await;
        }
        only(before).await;
    });
}

#[test]
fn a_lost_server_is_1014_to_its_client_behind_what_it_said() {
    within(async || {
        let proxied = Proxied::start().await;
        let before = tasks();
        let (mut client, mut server) = proxied.open().await;
        server.send(Frame::text("last")).await;
        client.expect_text("last").await;
        drop(server);
        client.expect_close(1014).await;
        client.send(Frame::close(1014, "")).await;
        client.expect_clean_eof().await;
        // A reset: what was sent to it was never read.
        let (mut client, server) = proxied.open().await;
        client.send(Frame::text("unread")).await;
        tokio::time::sleep(QUIET).await;
        drop(server);
        client.expect_close(1014).await;
        drop(client);
        only(before).await;
    });
}

#[test]
fn a_lost_client_is_1001_to_its_server_behind_what_it_said() {
    within(async || {
        let proxied = Proxied::start().await;
        let before = tasks();
        let (mut client, mut server) = proxied.open().await;
        client.send(Frame::text("last")).await;
        drop(client);
        server.expect_text("last").await;
        server.expect_close(1001).await;
        server.send(Frame::close(1001, "")).await;
        server.finish().await;
        only(before).await;
        let handle = proxied.proxy.handle.clone();
        eventually("its place is free", || handle.connections() == 0).await;
    });
}

#[test]
fn a_clients_violation_is_its_own_and_1001_to_the_server() {
    within(async || {
        let proxied = Proxied::start().await;
        for (frame, code) in [
            (Frame::text("x").unmasked(), 1002),
            (Frame::text(b"\xff"), 1007),
            (Frame::binary(vec![0; 1024 * KIB + 1]), 1009),
            (Frame::close(1005, ""), 1002),
        ] {
            let (mut client, mut server) = proxied.open().await;
            client.send(Frame::text("good")).await;
            server.expect_text("good").await;
            client.writer.try_send(frame.encode()).await;
            server.expect_close(1001).await;
            server.send(Frame::close(1001, "")).await;
            client.expect_close(code).await;
        }
    });
}

#[test]
fn the_answers_to_what_came_before_a_violation_arrive() {
    within(async || {
        let proxied = Proxied::start().await;
        let (mut client, mut server) = proxied.open().await;
        client
            .send_all([Frame::text("good"), Frame::text("bad").rsv(4)])
            .await;
        server.expect_text("good").await;
        server.expect_close(1001).await;
        server
            .send_all([Frame::text("answer"), Frame::close(1001, "")])
            .await;
        client.expect_text("answer").await;
        client.expect_close(1002).await;
        client.expect_eof().await;
    });
}

#[test]
fn a_servers_violation_is_its_own_and_1014_to_the_client() {
    within(async || {
        let proxied = Proxied::start().await;
        for (frame, code) in [
            (Frame::text("x"), 1002),
            (Frame::text(b"\xff").unmasked(), 1007),
            (Frame::text("x").rsv(4).unmasked(), 1002),
            (Frame::binary(b"").unmasked().announcing(1 << 21), 1009),
        ] {
            let (mut client, mut server) = proxied.open().await;
            server.send(Frame::text("good")).await;
            client.expect_text("good").await;
            server.send_raw(frame.encode()).await;
            server.expect_close(code).await;
            client.expect_close(1014).await;
        }
    });
}

#[test]
fn shutting_down_closes_both_sides_with_1001() {
    within(async || {
        let mut proxied = Proxied::start().await;
        let (mut client, mut server) = proxied.open().await;
        proxied.proxy.handle.shutdown();
        client.expect_close(1001).await;
        server.expect_close(1001).await;
        client.send(Frame::close(1001, "")).await;
        server.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
        server.finish().await;
        proxied.proxy.returned().await;
    });
}

/// Both sides of a proxy whose patience is short, and both have answered its own
/// pings: to us alone.
async fn pinged() -> (Proxied, RawClient, Conn) {
    let idle = Duration::from_millis(600);
    let upstream = Upstream::start().await;
    let proxied = Proxied::start_with(upstream, |s| s.idle_timeout(idle)).await;
    let (mut client, mut server) = proxied.open().await;
    for _ in 0..3 {
        let (to_client, to_server) = tokio::join!(client.expect_ping(), server.expect_ping());
        assert_ne!(to_client, to_server);
        client.send(Frame::pong(to_client)).await;
        server.send(Frame::pong(to_server)).await;
    }
    (proxied, client, server)
}

#[test]
fn a_server_that_goes_silent_is_lost() {
    within(async || {
        let (_proxied, mut client, mut server) = pinged().await;
        loop {
            let frame = client.read_frame().await;
            if frame.opcode != PING {
                assert_eq!(frame.close_code(), Some(1014), "{frame:?}");
                break;
            }
            client.send(Frame::pong(frame.payload)).await;
        }
        server.expect_ping().await;
        server.expect_eof().await;
    });
}

#[test]
fn a_client_that_goes_silent_is_lost() {
    within(async || {
        let (_proxied, mut client, mut server) = pinged().await;
        loop {
            let frame = server.frame().await;
            if frame.opcode != PING {
                assert_eq!((frame.opcode, &*frame.payload), (CLOSE, &[3, 233][..]));
                break;
            }
            server.send(Frame::pong(frame.payload)).await;
        }
        client.expect_ping().await;
        client.expect_eof().await;
    });
}
