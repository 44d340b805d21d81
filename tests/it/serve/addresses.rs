//! Where a server listens, and what it says when it cannot.
//! Does not treat a second process on the address: `process` does.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use wsworker::Address;
use wsworker::prelude::*;

use super::{Echo, echoes, refuses, tcp};
use crate::raw::{Frame, RawClient};
use crate::server::{Served, within};

#[test]
fn port_0_is_a_free_port_that_local_addrs_tells() {
    within(async || {
        let a = Server::new(Echo)
            .bind("127.0.0.1:0")
            .listen()
            .await
            .unwrap();
        let b = Server::new(Echo)
            .bind("127.0.0.1:0")
            .listen()
            .await
            .unwrap();
        let (a, b) = (tcp(&a, 0), tcp(&b, 0));
        assert_ne!(a.port(), 0);
        assert_ne!(a, b);
        assert_eq!(Address::Tcp(a).to_string(), a.to_string());
    });
}

#[test]
fn several_addresses_are_served_and_told_in_order() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let server = Server::new(Echo)
            .bind("127.0.0.1:0")
            .bind(any)
            .bind(path.clone());
        let listening = server.listen().await.unwrap();
        let (a, b) = (tcp(&listening, 0), tcp(&listening, 1));
        assert_eq!(listening.local_addrs()[2], Address::Unix(path.clone()));
        assert_eq!(listening.local_addrs().len(), 3);
        tokio::spawn(listening.serve());
        echoes(&mut RawClient::open(a).await).await;
        echoes(&mut RawClient::open(b).await).await;
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        echoes(&mut client).await;
    });
}

#[test]
fn ipv6_is_served() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        // Past the capture of the test harness: a test that did not run is news.
        use std::io::Write;
        let text = b"\n*** THIS MACHINE HAS NO IPv6: ipv6_is_served TESTED NOTHING ***\n";
        std::io::stderr().write_all(text).unwrap();
        return;
    }
    within(async || {
        let server = Server::new(Echo).bind("[::1]:0");
        let listening = server.listen().await.unwrap();
        let addr = tcp(&listening, 0);
        assert!(addr.is_ipv6());
        tokio::spawn(listening.serve());
        let mut client = RawClient::open(addr).await;
        client.send(Frame::text("who?")).await;
        client.expect_text("Some(::1)").await;
    });
}

#[test]
fn a_connection_before_serve_is_served_then() {
    within(async || {
        let server = Server::new(Echo).bind("127.0.0.1:0");
        let listening = server.listen().await.unwrap();
        let mut client = RawClient::connect(tcp(&listening, 0)).await;
        client.send_raw(client.upgrade().encode()).await;
        client.expect_quiet().await;
        tokio::spawn(listening.serve());
        client.read_response().await.assert_upgraded();
        echoes(&mut client).await;
    });
}

#[test]
fn a_wrong_address_is_an_error_that_shows_it() {
    within(async || {
        for text in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "unix:", ""] {
            let error = refuses(Server::new(Echo).bind(text)).await;
            assert!(error.contains(text), "{text:?}: {error}");
        }
    });
}

#[test]
fn a_taken_port_is_an_error_that_says_so() {
    within(async || {
        let server = Served::start(Echo).await;
        let error = refuses(Server::new(Echo).bind(server.addr)).await;
        assert!(error.contains(&server.addr.to_string()), "{error}");
        let text = error.to_lowercase();
        assert!(text.contains("in use") || text.contains("taken"), "{error}");
        // The first goes on.
        echoes(&mut RawClient::open(server.addr).await).await;
    });
}

#[test]
fn a_port_is_free_again_after_serve() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let addr = server.addr;
        let mut client = RawClient::open(addr).await;
        echoes(&mut client).await;
        let closing = tokio::spawn(async move {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_eof().await;
        });
        server.shut_down().await;
        closing.await.unwrap();
        let again = Server::new(Echo).bind(addr).listen().await;
        drop(again.expect("the port is free, TIME_WAIT or not"));
    });
}

#[test]
fn a_unix_socket_is_served_and_has_no_remote_addr() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let text = format!("unix:{}", path.display());
        let listening = Server::new(Echo)
            .bind(text.as_str())
            .listen()
            .await
            .unwrap();
        assert_eq!(listening.local_addrs()[0].to_string(), text);
        let handle = listening.handle();
        let serving = tokio::spawn(listening.serve());
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        client.send(Frame::text("who?")).await;
        client.expect_text("None").await;
        client.close().await;
        handle.shutdown();
        serving.await.unwrap().unwrap();
        assert!(!path.exists(), "the socket's file is removed");
    });
}

#[test]
fn a_stale_socket_file_is_replaced() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stale.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "its owner died without removing it");
        let listening = Server::new(Echo).bind(path.clone()).listen().await.unwrap();
        tokio::spawn(listening.serve());
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        echoes(&mut client).await;
    });
}

#[test]
fn a_live_socket_file_is_not_taken() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live.sock");
        let owner = UnixListener::bind(&path).unwrap();
        let error = refuses(Server::new(Echo).bind(path.clone())).await;
        assert!(error.contains("live.sock"), "{error}");
        let text = error.to_lowercase();
        assert!(text.contains("in use") || text.contains("taken"), "{error}");
        // It still has its name.
        let _probe = std::os::unix::net::UnixStream::connect(&path).unwrap();
        owner.accept().unwrap();
    });
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "precious").unwrap();
        let error = refuses(Server::new(Echo).bind(path.clone())).await;
        assert!(error.contains("notes.txt"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    });
}

#[test]
fn a_setting_that_cannot_work_is_an_error() {
    within(async || {
        let listening = Server::new(Echo)
            .bind("127.0.0.1:0")
            .protocols(["not a token"])
            .listen()
            .await;
        let error = listening.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("not a token"), "{error}");
    });
}
