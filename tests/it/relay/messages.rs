//! Messages, pings and pongs between a client and the server behind us.

use super::{KIB, Proxied, Upstream, only, tasks};
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::within;

#[test]
fn messages_go_both_ways_whole_and_in_order() {
    within(async || {
        let proxied = Proxied::start().await;
        let (mut client, mut server) = proxied.open().await;
        for size in [0, 1, 125, 126, 4 * KIB, 20 * KIB, 65_535, 65_536, 500 * KIB] {
            let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
            client.send(Frame::binary(&bytes)).await;
            server.expect_binary(&bytes).await;
            server.send(Frame::binary(&bytes)).await;
            client.expect_binary(&bytes).await;
        }
        client
            .send_all((0..300).map(|i| Frame::text(format!("to {i}"))))
            .await;
        server
            .send_all((0..300).map(|i| Frame::text(format!("fro {i}"))))
            .await;
        for i in 0..300 {
            server.expect_text(&format!("to {i}")).await;
            client.expect_text(&format!("fro {i}")).await;
        }
    });
}

#[test]
fn a_message_may_be_as_large_as_from_a_client() {
    within(async || {
        let upstream = Upstream::start().await;
        let proxied = Proxied::start_with(upstream, |s| s.max_message(3 << 20)).await;
        let (mut client, mut server) = proxied.open().await;
        let large = vec![7; 3 << 20];
        let bytes = Frame::binary(&large).encode();
        let (_, ()) = tokio::join!(client.send_raw(bytes), server.expect_binary(&large));
        let bytes = Frame::binary(&large).unmasked().encode();
        let (_, ()) = tokio::join!(server.send_raw(bytes), client.expect_binary(&large));
    });
}

#[test]
fn fragments_arrive_as_one_message() {
    within(async || {
        let proxied = Proxied::start().await;
        let (mut client, mut server) = proxied.open().await;
        let frames = || {
            [
                Frame::text("a").unfinished(),
                Frame::ping("between"),
                Frame::continuation("b").unfinished(),
                Frame::continuation("c"),
            ]
        };
        client.send_all(frames()).await;
        assert_eq!(server.expect_ping().await, b"between");
        server.expect_text("abc").await;
        server.send_all(frames()).await;
        assert_eq!(client.expect_ping().await, b"between");
        client.expect_text("abc").await;
    });
}

#[test]
fn what_came_with_the_handshakes_is_not_lost() {
    within(async || {
        let proxied = Proxied::start().await;
        let mut client = RawClient::connect(proxied.proxy.addr).await;
        let mut bytes = client.upgrade().encode();
        bytes.extend(Frame::text("from the client").encode());
        let early = Frame::text("from the server").unmasked().encode();
        let (_, mut server) = tokio::join!(
            async {
                client.send_raw(bytes).await;
                client.read_response().await.assert_upgraded();
            },
            proxied.upstream.accept_with("", &early),
        );
        server.expect_text("from the client").await;
        client.expect_text("from the server").await;
    });
}

#[test]
fn pings_and_pongs_are_passed_on_and_not_answered() {
    within(async || {
        let proxied = Proxied::start().await;
        let (mut client, mut server) = proxied.open().await;
        client.send(Frame::ping("there?")).await;
        client.expect_quiet().await;
        assert_eq!(server.expect_ping().await, b"there?");
        server.send(Frame::pong("there?")).await;
        client.expect_pong(b"there?").await;
        server.send(Frame::ping("and you?")).await;
        server.expect_quiet().await;
        assert_eq!(client.expect_ping().await, b"and you?");
        client.send(Frame::pong("and you?")).await;
        server.expect_pong(b"and you?").await;
        // Nobody asked for these.
        client.send(Frame::pong("")).await;
        server.expect_pong(b"").await;
        server.send(Frame::pong("heartbeat")).await;
        client.expect_pong(b"heartbeat").await;
    });
}

#[test]
fn two_joined_connections_are_one_task() {
    within(async || {
        let proxied = Proxied::start().await;
        let before = tasks();
        let (mut client, mut server) = proxied.open().await;
        client.send(Frame::text("x")).await;
        server.expect_text("x").await;
        // And the beat of the clock of connections outside servers.
        assert!(tasks() <= before + 2, "{} more", tasks() - before);
        client.send(Frame::close(1000, "")).await;
        server.expect_close(1000).await;
        server.send(Frame::close(1000, "")).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
        server.finish().await;
        only(before).await;
    });
}

#[test]
fn many_clients_do_not_mix() {
    within(async || {
        let proxied = Proxied::start().await;
        let mut pairs = Vec::new();
        for _ in 0..20 {
            pairs.push(proxied.open().await);
        }
        for round in 0..10 {
            for (i, (client, server)) in pairs.iter_mut().enumerate() {
                client.send(Frame::text(format!("{i} {round}"))).await;
                server.send(Frame::text(format!("{round} {i}"))).await;
            }
            for (i, (client, server)) in pairs.iter_mut().enumerate() {
                server.expect_text(&format!("{i} {round}")).await;
                client.expect_text(&format!("{round} {i}")).await;
            }
        }
    });
}

/// One side sends without end and the other does not read; then it does.
async fn stalls(proxied: Proxied, up: bool) {
    let (mut client, mut server) = proxied.open_narrow().await;
    let frames = (0..1800).map(|i| Frame::text(format!("{i:>10000}")));
    if up {
        let bytes = encode_all(frames);
        let sent = client.writer.send_until_stalled(&bytes).await;
        println!("{sent} of {} bytes were taken", bytes.len());
        assert!(sent < bytes.len(), "it is read without end");
        // The other way is free.
        server.send(Frame::text("free")).await;
        client.expect_text("free").await;
        let rest = tokio::spawn(async move {
            client.send_raw(&bytes[sent..]).await;
            client
        });
        for i in 0..1800 {
            server.expect_text(&format!("{i:>10000}")).await;
        }
        drop(rest.await.unwrap());
        server.expect_close(1001).await;
    } else {
        let bytes = encode_all(frames.map(Frame::unmasked));
        let sent = server.send_until_stalled(&bytes).await;
        println!("{sent} of {} bytes were taken", bytes.len());
        assert!(sent < bytes.len(), "it is read without end");
        client.send(Frame::text("free")).await;
        server.expect_text("free").await;
        let rest = tokio::spawn(async move {
            server.send_raw(&bytes[sent..]).await;
            server
        });
        for i in 0..1800 {
            client.expect_text(&format!("{i:>10000}")).await;
        }
        drop(rest.await.unwrap());
        client.expect_close(1014).await;
    }
}

#[test]
fn a_server_that_does_not_read_stops_its_client_and_loses_nothing() {
    within(async || {
        let upstream = Upstream::narrow().await;
        let proxied = Proxied::start_with(upstream, |s| s.max_buffered(64 * KIB)).await;
        stalls(proxied, true).await;
    });
}

#[test]
fn a_client_that_does_not_read_stops_its_server_and_loses_nothing() {
    within(async || {
        let upstream = Upstream::narrow().await;
        let proxied = Proxied::start_with(upstream, |s| s.max_buffered(64 * KIB)).await;
        stalls(proxied, false).await;
    });
}

#[test]
fn pings_without_end_stop_at_a_side_that_does_not_read() {
    within(async || {
        let upstream = Upstream::narrow().await;
        let proxied = Proxied::start_with(upstream, |s| s.max_buffered(64 * KIB)).await;
        let (mut client, mut server) = proxied.open_narrow().await;
        let bytes = encode_all((0..100_000).map(|i| Frame::ping(format!("{i:>100}"))));
        let sent = client.writer.send_until_stalled(&bytes).await;
        assert!(sent < bytes.len(), "pings pile up");
        for i in 0..100 {
            assert_eq!(server.expect_ping().await, format!("{i:>100}").as_bytes());
        }
    });
}
