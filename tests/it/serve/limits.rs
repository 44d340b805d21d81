//! How many connections there may be.
//! Does not treat what one connection may use.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use wsworker::prelude::*;

use super::{Echo, echoes};
use crate::raw::{DEADLINE, Frame, Head, RawClient};
use crate::server::{Served, eventually, within};

/// Whether a new connection gets as far as a 101.
pub(super) async fn is_admitted(
    addr: SocketAddr,
    client: &mut RawClient,
    extra: &[(&str, &str)],
) -> bool {
    let mut head = Head::upgrade("/", &addr.to_string());
    for (name, value) in extra {
        head = head.with(name, value);
    }
    if !client.writer.try_send(head.encode()).await {
        return false;
    }
    let first = client.reader.read_one_byte_or_end();
    match timeout(Duration::from_millis(300), first).await {
        // The status line has come: "HTTP/1.1 101".
        Ok(Some(_)) => {
            let mut line = Vec::new();
            while line.len() < 11 {
                line.extend(client.reader.read_one_byte_or_end().await);
            }
            line.ends_with(b"101")
        }
        // Closed, or left waiting.
        Ok(None) | Err(_) => false,
    }
}

/// Connects until it is let in.
async fn admitted_at_last(addr: SocketAddr) {
    let begun = Instant::now();
    loop {
        let mut client = RawClient::connect(addr).await;
        if is_admitted(addr, &mut client, &[]).await {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "nobody is let in again");
    }
}

#[test]
fn connections_over_the_limit_wait_or_are_refused() {
    within(async || {
        let server = Served::start_with(Echo, |s| s.max_connections(2)).await;
        let addr = server.addr;
        let mut a = RawClient::open(addr).await;
        let mut b = RawClient::open(addr).await;
        assert_eq!(server.handle.connections(), 2);
        let mut third = RawClient::connect(addr).await;
        assert!(!is_admitted(addr, &mut third, &[]).await);
        drop(third);
        echoes(&mut a).await;
        echoes(&mut b).await;
        a.close().await;
        admitted_at_last(addr).await;
    });
}

#[test]
fn connections_of_one_address_are_limited_and_others_are_not() {
    within(async || {
        let limit = |s: Server| s.max_connections_per_address(2);
        let server = Served::start_with(Echo, limit).await;
        let addr = server.addr;
        let a = RawClient::open(addr).await;
        let mut b = RawClient::open(addr).await;
        let mut third = RawClient::connect(addr).await;
        assert!(!is_admitted(addr, &mut third, &[]).await);
        drop(third);
        if cfg!(target_os = "linux") {
            let other = IpAddr::from([127, 0, 0, 2]);
            let mut other = RawClient::connect_from(other, addr).await;
            assert!(is_admitted(addr, &mut other, &[]).await);
        }
        echoes(&mut b).await;
        a.close().await;
        admitted_at_last(addr).await;
    });
}

#[test]
fn connections_are_counted() {
    within(async || {
        let server = Served::start(Echo).await;
        assert_eq!(server.handle.connections(), 0);
        let a = RawClient::open(server.addr).await;
        let b = RawClient::open(server.addr).await;
        assert_eq!(server.handle.connections(), 2);
        a.close().await;
        drop(b);
        let handle = server.handle.clone();
        eventually("none is left", || handle.connections() == 0).await;
    });
}

#[test]
fn many_connections_at_once_are_all_served() {
    within(async || {
        let server = Served::start(Echo).await;
        let mut clients = Vec::new();
        for _ in 0..300 {
            let mut client = RawClient::connect(server.addr).await;
            client.send_raw(client.upgrade().encode()).await;
            clients.push(client);
        }
        for client in &mut clients {
            client.read_response().await.assert_upgraded();
            client.send(Frame::text("all")).await;
        }
        for client in &mut clients {
            client.expect_text("all").await;
        }
    });
}
