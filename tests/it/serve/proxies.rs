//! Whose word is taken for where a connection comes from.
//! Does not treat connections that come without a proxy: `limits` does.

use wsworker::prelude::*;

use super::limits::is_admitted;
use super::{Echo, refuses};
use crate::raw::{Frame, Head, RawClient};
use crate::server::{Served, within};

async fn who(trusted: &'static [&'static str], headers: &[(&str, &str)]) -> String {
    let trust = |s: Server| s.trusted_proxies(trusted.iter().copied());
    let server = Served::start_with(Echo, trust).await;
    let mut client = RawClient::connect(server.addr).await;
    let mut head = Head::get("/who", client.host());
    for (name, value) in headers {
        head = head.with(name, value);
    }
    client.send_raw(head.encode()).await;
    let told = client.read_response().await.text().to_owned();
    // The socket says the same.
    let mut client = RawClient::connect(server.addr).await;
    client.handshake(headers).await;
    client.send(Frame::text("who?")).await;
    client.expect_text(&told).await;
    told
}

#[test]
fn forwarded_addresses_are_not_believed_by_default() {
    within(async || {
        let headers = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=203.0.113.9"),
        ];
        assert_eq!(who(&[], &headers).await, "Some(127.0.0.1)");
        assert_eq!(who(&["10.0.0.0/8"], &headers).await, "Some(127.0.0.1)");
    });
}

#[test]
fn a_trusted_proxys_x_forwarded_for_is_the_remote_addr() {
    within(async || {
        for trusted in [&["127.0.0.1"][..], &["10.0.0.0/8", "127.0.0.0/8"]] {
            let headers = [("X-Forwarded-For", "203.0.113.9")];
            assert_eq!(who(trusted, &headers).await, "Some(203.0.113.9)");
        }
    });
}

#[test]
fn a_trusted_proxys_forwarded_is_the_remote_addr() {
    within(async || {
        for (value, wanted) in [
            ("for=203.0.113.9;proto=https", "Some(203.0.113.9)"),
            ("For=\"203.0.113.9:4711\"", "Some(203.0.113.9)"),
            (
                "proto=http;for=\"[2001:db8:cafe::17]:4711\"",
                "Some(2001:db8:cafe::17)",
            ),
        ] {
            let headers = [("Forwarded", value)];
            assert_eq!(who(&["127.0.0.1"], &headers).await, wanted);
        }
    });
}

#[test]
fn only_what_trusted_proxies_added_is_believed() {
    within(async || {
        // What the client wrote itself stands on the left.
        for (value, wanted) in [
            ("6.6.6.6, 203.0.113.9", "Some(203.0.113.9)"),
            ("6.6.6.6, 203.0.113.9, 10.1.2.3", "Some(203.0.113.9)"),
        ] {
            let headers = [("X-Forwarded-For", value)];
            let told = who(&["127.0.0.0/8", "10.0.0.0/8"], &headers).await;
            assert_eq!(told, wanted, "{value}");
        }
        let two_lines = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-For", "203.0.113.9"),
        ];
        assert_eq!(who(&["127.0.0.1"], &two_lines).await, "Some(203.0.113.9)");
    });
}

#[test]
fn a_trusted_proxy_that_says_nothing_readable_is_the_remote_addr() {
    within(async || {
        for headers in [
            &[][..],
            &[("X-Forwarded-For", "not an address")],
            &[("Forwarded", "for=unknown")],
            &[("Forwarded", "for=_hidden")],
        ] {
            assert_eq!(who(&["127.0.0.1"], headers).await, "Some(127.0.0.1)");
        }
    });
}

#[test]
fn a_wrong_proxy_is_an_error_that_shows_it() {
    within(async || {
        for text in ["me", "10.0.0.0/33", "300.1.1.1"] {
            let server = Server::new(Echo)
                .bind("127.0.0.1:0")
                .trusted_proxies([text]);
            let error = refuses(server).await;
            assert!(error.contains(text), "{error}");
        }
    });
}

#[test]
fn the_limit_of_an_address_counts_forwarded_ones() {
    within(async || {
        let configure = |s: Server| {
            s.trusted_proxies(["127.0.0.1"])
                .max_connections_per_address(1)
        };
        let server = Served::start_with(Echo, configure).await;
        let addr = server.addr;
        let mut held = Vec::new();
        for (from, wanted) in [
            ("203.0.113.1", true),
            ("203.0.113.2", true),
            ("203.0.113.1", false),
            ("203.0.113.3", true),
        ] {
            let mut client = RawClient::connect(addr).await;
            let extra = [("X-Forwarded-For", from)];
            let admitted = is_admitted(addr, &mut client, &extra).await;
            assert_eq!(admitted, wanted, "{from}");
            held.push(client);
        }
    });
}

#[test]
fn a_unix_socket_may_be_a_trusted_proxy() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let server = Server::new(Echo)
            .bind(path.clone())
            .trusted_proxies(["unix"]);
        tokio::spawn(server.listen().await.unwrap().serve());
        let mut client = RawClient::connect_unix(&path).await;
        let extra = [("X-Forwarded-For", "203.0.113.9")];
        client.handshake(&extra).await;
        client.send(Frame::text("who?")).await;
        client.expect_text("Some(203.0.113.9)").await;
    });
}
