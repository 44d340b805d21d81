//! Calls that are dropped, at each point where they can be, leave nothing behind.
//! Counts tasks and descriptors, each test in a process of its own.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use wsworker::{Client, Event, ReadBody};

use super::raw_server::RawServer;
use super::{SHORT, client, ok, redirect};
use crate::alone::{Held, alone};
use crate::raw::{CLOSE, Frame};
use crate::server::within;

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
    alone(async || {
        for stop in STOPS {
            let server = RawServer::start(move |conn| {
                conn.head();
                conn.send(stop);
                conn.until_left();
            });
            let before = Held::now();
            for url in [server.url("/"), server.ws_url("/")] {
                let client = client();
                assert!(
                    timeout(SHORT, client.fetch(&url)).await.is_err(),
                    "{stop:?}"
                );
                drop(client);
                before.again(&format!("{stop:?} of {url}")).await;
            }
            server.left(2).await;
        }
    });
}

#[test]
fn a_call_dropped_while_it_connects_leaves_nothing() {
    alone(async || {
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
        let before = Held::now();
        for scheme in ["http", "ws"] {
            let client = client();
            let url = format!("{scheme}://{addr}/");
            assert!(timeout(SHORT, client.fetch(&url)).await.is_err());
            drop(client);
            before.again(&url).await;
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
    alone(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhello");
            conn.until_left();
        });
        let before = Held::now();
        for url in [server.url("/"), server.ws_url("/")] {
            let client = client();
            let mut body = client.fetch(&url).await.unwrap().into_body();
            body.chunk().await.unwrap().unwrap();
            drop(body);
            drop(client);
            before.again(&url).await;
        }
        server.left(2).await;
    });
}

#[test]
fn a_response_without_its_client_can_be_read() {
    alone(async || {
        let server = RawServer::answering(ok("hello"));
        let before = Held::now();
        for url in [server.url("/"), server.ws_url("/")] {
            let mut response = client().fetch(&url).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "hello");
            drop(response);
            before.again(&url).await;
        }
    });
}

#[test]
fn a_client_that_is_dropped_ends_its_connections() {
    alone(async || {
        let server = RawServer::answering(ok("hello"));
        let before = Held::now();
        let client = client();
        let mut response = client.fetch(server.url("/")).await.unwrap();
        response.text().await.unwrap();
        assert_eq!(server.accepted(), 1);
        assert_ne!(Held::now(), before);
        drop(client);
        before.again("the client").await;
    });
}

#[test]
fn many_runtimes_one_after_another_leave_nothing() {
    alone(async || {
        let server = RawServer::answering(ok("hello"));
        let before = Held::now();
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
        before.again("20 runtimes").await;
    });
}

/// A server that redirects, sends a body in parts, and talks over WebSockets.
fn talking() -> RawServer {
    RawServer::start(|conn| {
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
    })
}

async fn a_page(url: String) {
    let mut response = client().fetch(url).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hello");
}

async fn a_conversation(url: String) {
    let response = client().fetch(url).await.unwrap();
    let mut events = response.into_websocket().unwrap().accept();
    for _ in 0..3 {
        events.send("hello").unwrap();
        assert!(matches!(events.next().await, Some(Event::Message(_))));
    }
    events.close().unwrap();
    while events.next().await.is_some() {}
}

/// Polls a future so many times, each time that it asks for it, does something and
/// drops it; gives whether it ended by itself.
async fn cut_off(future: impl Future, mut polls: usize, before: fn()) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if polls == 0 {
            before();
            return Poll::Ready(false);
        }
        polls -= 1;
        future.as_mut().poll(cx).map(|_| true)
    })
    .await
}

/// Cuts off what one does with that server, after each number of polls.
async fn at_any_point<F: Future + Send + 'static>(
    one: impl Fn(String) -> F,
    url: String,
    before: fn(),
) {
    let held = Held::now();
    for polls in 0.. {
        let running = tokio::spawn(cut_off(one(url.clone()), polls, before));
        let ended = running.await.unwrap_or(false);
        held.again(&format!("poll {polls} of {url}")).await;
        if ended {
            assert!(polls > 3, "{polls} polls are too few to be true");
            return;
        }
    }
}

#[test]
fn a_call_cut_off_at_any_point_leaves_nothing() {
    alone(async || {
        let server = talking();
        at_any_point(a_page, server.url("/"), || {}).await;
        at_any_point(a_conversation, server.ws_url("/"), || {}).await;
    });
}

#[test]
fn a_panic_at_any_point_of_a_call_leaves_nothing() {
    alone(async || {
        let server = talking();
        let panics: fn() = || panic!("as told");
        at_any_point(a_page, server.url("/"), panics).await;
        at_any_point(a_conversation, server.ws_url("/"), panics).await;
    });
}
