//! Calls that are dropped, at each point where they can be, leave nothing behind.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use wsworker::{Client, Event, ReadBody};

use super::raw_server::RawServer;
use super::{SHORT, client, ok, redirect, tasks};
use crate::raw::{CLOSE, Frame};
use crate::server::{eventually, within};

/// Where a server stops for ever.
const STOPS: [&str; 5] = [
    "",
    "HTTP/1.1 2",
    "HTTP/1.1 200 OK\r\ncontent-le",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
];

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

/// Polls a future so many times, each time that it asks for it, and drops it;
/// gives whether it ended by itself.
async fn cut_off<F: Future>(future: F, mut polls: usize) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(false);
        }
        polls -= 1;
        future.as_mut().poll(cx).map(|_| true)
    })
    .await
}

#[test]
fn a_call_cut_off_at_any_point_leaves_nothing() {
    within(async || {
        // A redirect, a body in parts, and a WebSocket with a conversation.
        let server = RawServer::start(|conn| {
            while let Some(head) = conn.head() {
                if head.header("upgrade").is_some() {
                    conn.send(head.switch(""));
                    while let Some(frame) = conn.frame() {
                        conn.say(Frame::new(frame.opcode, &frame.payload));
                        // The server's to end first (RFC 6455 §7.1.1).
                        if frame.opcode == CLOSE {
                            return;
                        }
                    }
                } else if head.path() == "/" {
                    conn.send(redirect(302, "/body"));
                } else {
                    conn.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                    conn.send("5\r\nhello\r\n");
                    conn.send("0\r\n\r\n");
                }
            }
        });
        let plain = async || {
            let mut response = client().fetch(server.url("/")).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "hello");
        };
        let socket = async || {
            let response = client().fetch(server.ws_url("/")).await.unwrap();
            let mut events = response.into_websocket().unwrap().accept();
            for _ in 0..3 {
                events.send("hello").unwrap();
                assert!(matches!(events.next().await, Some(Event::Message(_))));
            }
            events.close().unwrap();
            while events.next().await.is_some() {}
        };
        let mut ended = false;
        for polls in 0.. {
            if ended {
                assert!(polls > 5, "{polls} polls are too few to be true");
                break;
            }
            let (plain, socket) = (
                cut_off(plain(), polls).await,
                cut_off(socket(), polls).await,
            );
            ended = plain && socket;
            eventually("all tasks end", || tasks() == 0).await;
        }
        eventually("all connections end", || server.done() == server.accepted()).await;
    });
}
