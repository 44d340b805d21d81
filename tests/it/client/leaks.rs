//! Calls that are dropped, at each point where they can be, leave nothing behind.

use std::future::pending;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use wsworker::{Client, ReadBody};

use super::raw_server::RawServer;
use super::{SHORT, client, ok};
use crate::server::{eventually, within};

/// Where a server stops for ever.
const STOPS: [&str; 5] = [
    "",
    "HTTP/1.1 2",
    "HTTP/1.1 200 OK\r\ncontent-le",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
];

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[test]
fn a_dropped_call_leaves_no_task_and_no_socket() {
    within(async || {
        for stop in STOPS {
            let server = RawServer::start(move |conn| {
                conn.head();
                conn.send(stop);
                conn.until_left();
            });
            for (number, url) in [server.url("/"), server.ws_url("/")].iter().enumerate() {
                let client = client();
                assert!(timeout(SHORT, client.fetch(url)).await.is_err(), "{stop:?}");
                server.left(number + 1).await;
                drop(client);
                eventually("all tasks end", || tasks() == 0).await;
            }
        }
    });
}

#[test]
fn a_call_dropped_while_it_connects_leaves_nothing() {
    within(async || {
        // A full backlog: connecting waits for ever.
        let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = full.local_addr().unwrap();
        let mut waiting = Vec::new();
        loop {
            let connect = tokio::net::TcpStream::connect(addr);
            match timeout(Duration::from_millis(100), connect).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => break,
            }
            assert!(waiting.len() < 10_000, "the backlog has no end");
        }
        for scheme in ["http", "ws"] {
            let client = client();
            let url = format!("{scheme}://{addr}/");
            assert!(timeout(SHORT, client.fetch(&url)).await.is_err());
            drop(client);
            eventually("all tasks end", || tasks() == 0).await;
            // And in time it would have been an error.
            let hasty = Client::builder().connect_timeout(SHORT).build().unwrap();
            let error = super::fails(&hasty, &url).await;
            assert!(error.is_timeout());
            assert_eq!(
                error.to_string(),
                format!(
                    "cannot connect to http://{addr}: no TCP connection within 200ms (connect_timeout)"
                )
            );
        }
    });
}

#[test]
fn a_dropped_response_leaves_no_task_and_no_socket() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhello");
            conn.until_left();
        });
        for (number, url) in [server.url("/"), server.ws_url("/")].iter().enumerate() {
            let client = client();
            let mut body = client.fetch(url).await.unwrap().into_body();
            body.chunk().await.unwrap().unwrap();
            drop(body);
            server.left(number + 1).await;
            drop(client);
            eventually("all tasks end", || tasks() == 0).await;
        }
    });
}

#[test]
fn a_response_without_its_client_can_be_read() {
    within(async || {
        let server = RawServer::answering(ok("hello"));
        for url in [server.url("/"), server.ws_url("/")] {
            let mut response = client().fetch(url).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "hello");
        }
        eventually("all tasks end", || tasks() == 0).await;
    });
}

#[test]
fn a_client_that_is_dropped_ends_its_connections() {
    within(async || {
        let server = RawServer::answering(ok("hello"));
        let client = client();
        client
            .fetch(server.url("/"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(server.accepted(), 1);
        drop(client);
        server.left(1).await;
        eventually("all tasks end", || tasks() == 0).await;
    });
}

#[test]
fn many_runtimes_one_after_another_leave_nothing() {
    let server = RawServer::answering(ok("hello"));
    for _ in 0..20 {
        let url = server.url("/");
        within(async move || {
            let mut response = wsworker::fetch(&url).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "hello");
            // Another that never ends.
            tokio::spawn(async move {
                let _response = wsworker::fetch(url).await.unwrap();
                pending::<()>().await;
            });
            tokio::task::yield_now().await;
        });
    }
    within(async move || server.left(20).await);
}
