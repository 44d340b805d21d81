//! Plain requests: what goes out, what comes back, over which connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;
use wsworker::{ReadBody, Request};

use super::raw_server::{Head, RawServer};
use super::{SHORT, broken, build, client, fails, header, ok, streamed};
use crate::raw::DEADLINE;
use crate::server::within;

/// Answers each request with its number on the connection, and keeps the heads.
fn recording() -> (RawServer, Arc<Mutex<Vec<Head>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    let server = RawServer::start(move |conn| {
        let mut count = 0;
        while let Some(head) = conn.head() {
            count += 1;
            kept.lock().unwrap().push(head);
            conn.send(ok(&format!("{} {count}", conn.number)));
        }
    });
    (server, heads)
}

#[test]
fn a_get_of_a_url_gives_status_headers_and_body() {
    within(async || {
        let server = RawServer::answering(
            "HTTP/1.1 404 Not Found\r\nX-Note: a\r\nTransfer-Encoding: chunked\r\n\
             Connection: keep-alive\r\n\r\n4\r\nwhat\r\n2\r\n? \r\n0\r\nX-Trailer: t\r\n\r\n",
        );
        let mut response = wsworker::fetch(server.url("/x?y")).await.unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(header(&response, "x-note"), Some("a"));
        // Those are the connection's.
        assert_eq!(header(&response, "transfer-encoding"), None);
        assert_eq!(header(&response, "connection"), None);
        assert_eq!(response.text().await.unwrap(), "what? ");
    });
}

#[test]
fn a_request_has_what_it_needs_and_no_more() {
    within(async || {
        let (server, heads) = recording();
        let client = client();
        client.fetch(server.url("/x?y#fragment")).await.unwrap();
        let request = Request::get(server.url("/"))
            .header("Host", "other.example")
            .header("Connection", "x-hop")
            .header("X-Hop", "1")
            .header("TE", "trailers")
            .header("Upgrade", "h2c")
            .header("User-Agent", "mine")
            .header("Cookie", "a=b");
        client.fetch(request).await.unwrap();
        let heads = heads.lock().unwrap();
        assert_eq!(heads[0].line, "GET /x?y HTTP/1.1");
        let mut names: Vec<_> = heads[0].headers.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "host", "user-agent"]);
        let host = server.addr.to_string();
        assert_eq!(heads[0].header("host"), Some(host.as_str()));
        assert!(
            heads[0]
                .header("user-agent")
                .unwrap()
                .starts_with("wsworker/")
        );
        let mut names: Vec<_> = heads[1].headers.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "cookie", "host", "user-agent"]);
        assert_eq!(heads[1].header("host"), Some(host.as_str()));
        assert_eq!(heads[1].header("user-agent"), Some("mine"));
    });
}

#[test]
fn connections_are_kept_and_used_again() {
    within(async || {
        let (server, _) = recording();
        let client = client();
        for wanted in ["0 1", "0 2", "0 3"] {
            let mut response = client.fetch(server.url("/")).await.unwrap();
            assert_eq!(response.text().await.unwrap(), wanted);
        }
        assert_eq!(server.accepted(), 1);
        // Another client has connections of its own.
        let mut response = super::client().fetch(server.url("/")).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "1 1");
    });
}

#[test]
fn an_unused_connection_ends_after_its_time() {
    within(async || {
        let (server, _) = recording();
        let client = build(|c| c.pool_idle_timeout(SHORT));
        client
            .fetch(server.url("/"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        server.left(1).await;
        let none = build(|c| c.pool_max_idle(0));
        none.fetch(server.url("/"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        server.left(2).await;
        let none = build(|c| c.pool_idle_timeout(Duration::ZERO));
        none.fetch(server.url("/"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        server.left(3).await;
    });
}

#[test]
fn a_connection_that_the_server_ended_is_replaced() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            conn.send(ok("x"));
        });
        let client = client();
        for _ in 0..3 {
            let mut response = client.fetch(server.url("/")).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "x");
            // The end is seen before the next request.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.accepted(), 3);
    });
}

#[test]
fn bytes_are_sent_with_their_length_and_a_stream_in_chunks() {
    within(async || {
        let server = RawServer::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.line, "POST /a HTTP/1.1");
            assert_eq!(head.header("content-length"), Some("5"));
            assert_eq!(head.header("transfer-encoding"), None);
            assert_eq!(conn.bytes(5), b"hello");
            conn.send(ok("one"));
            let head = conn.head().unwrap();
            assert_eq!(head.line, "PUT /b HTTP/1.1");
            assert_eq!(head.header("content-length"), None);
            assert_eq!(head.header("transfer-encoding"), Some("chunked"));
            let body = conn.until(b"0\r\n\r\n");
            assert_eq!(body, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
            conn.send(ok("two"));
            let head = conn.head().unwrap();
            assert_eq!(head.header("content-type"), Some("application/json"));
            assert_eq!(conn.bytes(7), br#"["tea"]"#);
            conn.send(ok("three"));
        });
        let client = client();
        // The length that is said does not count, the one that it has does.
        let post = Request::post(server.url("/a"))
            .header("content-length", "99")
            .body("hello");
        let mut response = client.fetch(post).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "one");
        let put = Request::put(server.url("/b")).body(streamed(vec!["abc", "de"]));
        let mut response = client.fetch(put).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "two");
        let json = Request::post(server.url("/c")).json(&["tea"]);
        let mut response = client.fetch(json).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "three");
    });
}

#[test]
fn what_breaks_the_body_is_the_error() {
    within(async || {
        let server = RawServer::start(|conn| {
            if conn.head().is_some() {
                conn.until_left();
            }
        });
        let post = Request::post(server.url("/")).body(broken("as told"));
        let error = fails(&client(), post).await;
        assert!(!error.is_fetch());
        assert_eq!(error.to_string(), "as told");
        server.left(1).await;
    });
}

#[test]
fn a_body_comes_in_chunks_and_a_slow_reader_holds_it_up() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            let size = 64 << 20;
            conn.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n"));
            let block = vec![b'x'; 64 << 10];
            let mut sent = 0;
            while sent < size && conn.send(&block) {
                sent += block.len();
            }
            assert!(sent < size, "all was taken, though nobody reads");
        });
        let client = client();
        let mut body = client.fetch(server.url("/")).await.unwrap().into_body();
        let chunk = body.chunk().await.unwrap().unwrap();
        assert!(chunk.iter().all(|b| *b == b'x'));
        // The server is stuck by now; dropping the body ends the connection.
        tokio::time::sleep(SHORT).await;
        drop(body);
    });
}

#[test]
fn what_is_read_as_a_whole_is_bounded() {
    within(async || {
        let server = RawServer::start(|conn| {
            while let Some(head) = conn.head() {
                conn.send(match head.path() {
                    "/announced" => "HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_owned(),
                    _ => format!(
                        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n{}\r\n0\r\n\r\n",
                        "x".repeat(5000)
                    ),
                });
            }
        });
        let client = build(|c| c.max_body(4999));
        for path in ["/announced", "/chunked"] {
            let mut response = client.fetch(server.url(path)).await.unwrap();
            let error = response.bytes().await.unwrap_err().to_string();
            assert!(error.ends_with(" bytes; the limit is 4999"), "{error}");
        }
        let mut response = client.fetch(server.url("/chunked")).await.unwrap();
        assert_eq!(response.max_body(5000).bytes().await.unwrap().len(), 5000);
        // Chunks come without a limit.
        let mut body = client
            .fetch(server.url("/chunked"))
            .await
            .unwrap()
            .into_body();
        let mut length = 0;
        while let Some(chunk) = body.chunk().await {
            length += chunk.unwrap().len();
        }
        assert_eq!(length, 5000);
    });
}

#[test]
fn a_call_is_small_and_can_be_spawned() {
    within(async || {
        let server = RawServer::answering(ok("x"));
        let call = client().fetch(server.url("/"));
        // A callback that waits for it is kept with its connection.
        assert!(size_of_val(&call) <= 16);
        let mut response = tokio::spawn(call).await.unwrap().unwrap();
        assert_eq!(response.text().await.unwrap(), "x");
    });
}

#[test]
fn mistakes_in_a_request_come_out_of_fetch() {
    within(async || {
        let client = client();
        for (request, wanted) in [
            (Request::get("http://a b/"), "is no URL"),
            (
                Request::get("http://u:p@a.example/"),
                "a user or a password",
            ),
            (Request::get("/path"), "fetch wants an absolute URL"),
            (Request::get("ftp://a.example/"), "got the scheme 'ftp'"),
            (Request::get("http://a.example:99999/"), "port 99999"),
            (
                Request::get("http://a.example/").header("a b", "c"),
                "cannot be a header's name",
            ),
            (
                Request::new("CONNECT", "http://a.example/"),
                "cannot open a tunnel",
            ),
            (
                Request::post("ws://127.0.0.1:1/"),
                "opened with GET, got POST",
            ),
            (
                Request::get("ws://127.0.0.1:1/").body("x"),
                "must have no body",
            ),
            (
                Request::get("ws://127.0.0.1:1/").header("sec-websocket-protocol", "a b"),
                "must be a list of tokens",
            ),
        ] {
            let error = fails(&client, request).await;
            assert!(error.is_invalid(), "{error}");
            assert!(error.to_string().contains(wanted), "{error}");
        }
    });
}

#[test]
fn https_without_its_feature_says_which() {
    within(async || {
        for url in ["https://a.invalid/x", "wss://a.invalid/x"] {
            let error = fails(&client(), url).await;
            // A build of the whole workspace has the feature.
            if error.is_fetch() {
                continue;
            }
            assert!(error.is_config());
            assert_eq!(
                error.to_string(),
                "https://a.invalid needs TLS: build wsworker with the feature `tls`"
            );
        }
    });
}

#[test]
fn outside_of_a_runtime_it_says_so() {
    let mut future = Box::pin(wsworker::fetch("http://127.0.0.1:1/"));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = future.as_mut().poll(&mut cx) else {
        panic!("wanted an error");
    };
    assert!(error.is_config());
    assert!(error.to_string().starts_with("fetch needs a tokio runtime"));
}

#[test]
fn each_runtime_has_its_own_connections() {
    let (server, _) = recording();
    let client = client();
    let url = server.url("/");
    for wanted in ["0 1", "1 1", "2 1"] {
        let (client, url) = (client.clone(), url.clone());
        within(async move || {
            let mut response = client.fetch(&url).await.unwrap();
            assert_eq!(response.text().await.unwrap(), wanted);
        });
    }
    // With their runtimes they are gone.
    within(async move || {
        timeout(DEADLINE, server.left(3)).await.unwrap();
    });
}
