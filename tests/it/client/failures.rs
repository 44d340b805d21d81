//! Servers that cannot be reached, are slow, or speak no HTTP.

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use wsworker::{Body, ReadBody, Request};

use super::raw_server::RawServer;
use super::{SHORT, build, client, fails, fails_with, ok, streamed};
use crate::server::within;

#[test]
fn a_port_where_nobody_listens_is_named() {
    within(async || {
        let addr = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        for scheme in ["http", "ws"] {
            let error = fails(&client(), format!("{scheme}://{addr}/secret?token")).await;
            assert!(error.is_fetch());
            let wanted =
                format!("cannot connect to http://{addr}: tcp connect error: Connection refused");
            assert!(error.to_string().starts_with(&wanted), "{error}");
        }
    });
}

#[test]
fn a_name_that_nobody_has_is_named() {
    within(async || {
        let error = fails(&client(), "http://no-such-name.invalid/").await;
        assert!(error.is_fetch());
        let text = error.to_string();
        assert!(
            text.starts_with("cannot connect to http://no-such-name.invalid: dns error"),
            "{text}"
        );
    });
}

#[test]
fn what_is_no_http_is_an_error() {
    within(async || {
        for (answer, why) in [
            ("", "connection closed before message completed"),
            (
                "HTTP/1.1 200 OK\r\n",
                "connection closed before message completed",
            ),
            ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "invalid HTTP version parsed"),
            ("HTTP/1.1 xyz OK\r\n\r\n", "invalid HTTP status-code parsed"),
            (
                "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                "invalid HTTP header parsed",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
                "invalid content-length parsed",
            ),
        ] {
            // The connection ends with the answer.
            let server = RawServer::start(move |conn| {
                conn.head();
                conn.send(answer);
            });
            let text = format!("no response from http://{}: {why}", server.addr);
            for url in [server.url("/"), server.ws_url("/")] {
                fails_with(&client(), url, &text).await;
            }
        }
    });
}

#[test]
fn a_101_to_a_plain_request_is_an_error() {
    within(async || {
        let server = RawServer::answering(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        );
        let text = format!(
            "http://{} answers 101 to a request for no upgrade",
            server.addr
        );
        fails_with(&client(), server.url("/"), &text).await;
        server.left(1).await;
    });
}

#[test]
fn a_head_without_end_is_an_error() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            conn.send("HTTP/1.1 200 OK\r\n");
            let line = format!("x: {}\r\n", "y".repeat(1000));
            while conn.send(&line) {}
        });
        let text = format!(
            "no response from http://{}: message head is too large",
            server.addr
        );
        for url in [server.url("/"), server.ws_url("/")] {
            fails_with(&client(), url, &text).await;
        }
    });
}

#[test]
fn an_answer_that_never_comes_is_an_error_in_time() {
    within(async || {
        let client = build(|c| c.response_timeout(SHORT).handshake_timeout(SHORT));
        for answer in ["", "HTTP/1.1 200", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let server = RawServer::start(move |conn| {
                conn.head();
                conn.send(answer);
                conn.until_left();
            });
            let at = server.addr;
            let error = fails(&client, server.url("/")).await;
            assert!(error.is_timeout(), "{answer:?}: {error}");
            let text = format!("no response from http://{at} within 200ms (response_timeout)");
            assert_eq!(error.to_string(), text);
            let error = fails(&client, server.ws_url("/")).await;
            assert!(error.is_timeout(), "{answer:?}: {error}");
            let text = format!("no answer from http://{at} within 200ms (handshake_timeout)");
            assert_eq!(error.to_string(), text);
            server.left(2).await;
        }
    });
}

#[test]
fn an_answer_that_drips_is_an_error_in_time() {
    within(async || {
        let client = build(|c| c.response_timeout(SHORT).handshake_timeout(SHORT));
        let server = RawServer::start(move |conn| {
            conn.head();
            conn.send("HTTP/1.1 200 OK\r\nx: ");
            while conn.send("y") {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for url in [server.url("/"), server.ws_url("/")] {
            assert!(fails(&client, url).await.is_timeout());
        }
    });
}

#[test]
fn a_server_that_takes_no_body_is_an_error_in_time_and_a_slow_one_is_not() {
    within(async || {
        let client = || build(|c| c.response_timeout(SHORT * 10));
        let (over, until_over) = mpsc::channel::<()>();
        let until_over = Mutex::new(until_over);
        let server = RawServer::start(move |conn| {
            let head = conn.head().unwrap();
            if head.path() == "/slow" {
                for _ in 0..12 {
                    std::thread::sleep(SHORT);
                    conn.bytes(2 << 20);
                }
                // To the end: what is left unread makes its end a RST.
                conn.until(b"\r\n0\r\n\r\n");
                conn.send(ok("all"));
            } else {
                let _ = until_over.lock().unwrap().recv();
            }
        });
        let body = vec![vec![0; 64 << 10]; 384];
        let slow = Request::post(server.url("/slow")).body(streamed(body.clone()));
        let mut response = client().fetch(slow).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "all");
        let stuck = Request::post(server.url("/stuck")).body(streamed(body));
        let error = fails(&client(), stuck).await;
        assert!(error.is_timeout(), "{error}");
        drop(over);
    });
}

/// A body that stops after its first part until the server has gone, within one
/// poll: whoever sends it reads nothing in between.
struct UntilItLeft {
    left: mpsc::Receiver<()>,
    part: usize,
}

impl Stream for UntilItLeft {
    type Item = wsworker::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.part += 1;
        if self.part == 2 {
            self.left.recv().unwrap();
            // Its end is sent when the function that serves has returned.
            std::thread::sleep(SHORT);
        }
        Poll::Ready(Some(Ok(Bytes::from(vec![0; 64 << 10]))))
    }
}

#[test]
fn what_a_server_answers_before_it_leaves_is_heard_though_the_body_is_not() {
    within(async || {
        let (leaves, left) = mpsc::channel();
        let server = RawServer::start(move |conn| {
            conn.head();
            // What it leaves unread makes its end a RST.
            conn.bytes(1);
            conn.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig");
            leaves.send(()).unwrap();
        });
        let endless = Body::stream(UntilItLeft { left, part: 0 });
        let request = Request::post(server.url("/")).body(endless);
        let mut response = client().fetch(request).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(response.text().await.unwrap(), "big");
    });
}

#[test]
fn a_body_that_breaks_off_is_an_error() {
    within(async || {
        for head in ["content-length: 10", "transfer-encoding: chunked"] {
            let server = RawServer::start(move |conn| {
                conn.head();
                conn.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhe"));
            });
            for url in [server.url("/"), server.ws_url("/")] {
                let mut response = client().fetch(url).await.unwrap();
                let error = response.text().await.unwrap_err();
                assert!(error.is_fetch());
                let wanted = format!("the body from http://{} broke off: ", server.addr);
                assert!(error.to_string().starts_with(&wanted), "{error}");
            }
        }
    });
}

#[test]
fn a_body_that_pauses_too_long_is_an_error() {
    within(async || {
        let client = build(|c| c.body_timeout(SHORT));
        let server = RawServer::start(move |conn| {
            conn.head();
            conn.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhe");
            conn.until_left();
        });
        for url in [server.url("/"), server.ws_url("/")] {
            let mut response = client.fetch(url).await.unwrap();
            // Time in which nobody reads does not count.
            tokio::time::sleep(SHORT * 2).await;
            let error = response.text().await.unwrap_err();
            assert!(error.is_timeout());
            let text = format!(
                "the body from http://{} paused for 200ms (body_timeout)",
                server.addr
            );
            assert_eq!(error.to_string(), text);
        }
        server.left(2).await;
    });
}

#[test]
fn interim_responses_without_end_are_an_error() {
    within(async || {
        let server = RawServer::start(|conn| {
            let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n".repeat(10);
            conn.head();
            while conn.send(&interim) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        for url in [server.url("/"), server.ws_url("/")] {
            let origin = server.url("");
            let text = format!("no response from {origin}: more than 100 interim responses (1xx)");
            fails_with(&client(), url, &text).await;
        }
    });
}

#[test]
fn some_interim_responses_come_before_the_last() {
    within(async || {
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
        let server = RawServer::start(move |conn| {
            while let Some(head) = conn.head() {
                conn.send(&interim);
                conn.send(match head.header("upgrade") {
                    Some(_) => head.switch(""),
                    None => ok("hello"),
                });
            }
        });
        let mut response = client().fetch(server.url("/")).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
        let response = client().fetch(server.ws_url("/")).await.unwrap();
        assert!(response.websocket().is_some());
    });
}
