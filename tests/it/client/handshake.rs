//! The opening handshake against servers that do it wrong.

use wsworker::{ReadBody, Request};

use super::raw_server::{Head, RawServer};
use super::{client, fails, header, redirect};
use crate::server::within;

/// Gives this answer to a request, and wants the client to leave.
fn answering(answer: impl Fn(&Head) -> String + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |conn| {
        let head = conn.head().unwrap();
        conn.send(answer(&head));
        conn.until_left();
    })
}

/// Wants the handshake to fail for this reason, and the connection to end.
async fn refused(answer: impl Fn(&Head) -> String + Send + Sync + 'static, why: &str) {
    let server = answering(answer);
    let request = Request::get(server.ws_url("/")).header("sec-websocket-protocol", "v2, v1");
    let error = fails(&client(), request).await;
    assert!(error.is_handshake(), "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("the WebSocket handshake failed: "),
        "{text}"
    );
    assert!(text.contains(why), "{text}");
    server.left(1).await;
}

fn without(head: &Head, name: &str) -> String {
    let mut lines: Vec<_> = head.switch("").split("\r\n").map(str::to_owned).collect();
    lines.retain(|line| !line.to_ascii_lowercase().starts_with(name));
    lines.join("\r\n")
}

#[test]
fn a_request_for_a_websocket_is_that_of_the_rfc() {
    within(async || {
        let server = RawServer::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.line, "GET /chat?room=1 HTTP/1.1");
            assert_eq!(head.header("upgrade"), Some("websocket"));
            assert_eq!(head.header("connection"), Some("Upgrade"));
            assert_eq!(head.header("sec-websocket-version"), Some("13"));
            assert_eq!(head.header("sec-websocket-key").unwrap().len(), 24);
            assert_eq!(head.header("sec-websocket-extensions"), None);
            assert_eq!(head.header("content-length"), None);
            assert!(head.header("host").unwrap().starts_with("127.0.0.1:"));
            assert_eq!(head.header("cookie"), Some("a=b"));
            assert_eq!(head.header("sec-websocket-protocol"), Some("v2, v1"));
            conn.send(head.switch("Sec-WebSocket-Protocol: v1\r\nX-Note: a\r\n"));
            conn.until_left();
        });
        for request in [
            Request::get(server.ws_url("/chat?room=1")),
            Request::get(server.url("/chat?room=1")).header("Upgrade", "WebSocket"),
        ] {
            let request = request
                .header("cookie", "a=b")
                .header("sec-websocket-protocol", "v2, v1")
                // These are the framework's.
                .header("sec-websocket-key", "mine")
                .header("sec-websocket-version", "8")
                .header("sec-websocket-extensions", "permessage-deflate")
                .header("connection", "close");
            let response = client().fetch(request).await.unwrap();
            assert_eq!(response.status(), 101);
            assert_eq!(header(&response, "x-note"), Some("a"));
        }
    });
}

#[test]
fn an_accept_key_that_is_not_ours_is_refused() {
    within(async || {
        let wrong = |head: &Head| head.switch("").replace(&head.accept(), "AAAA");
        refused(wrong, "'sec-websocket-accept' must be given once and be ").await;
        let twice = |head: &Head| {
            let again = format!("Sec-WebSocket-Accept: {}\r\n", head.accept());
            head.switch(&again)
        };
        refused(twice, "got 2 of them").await;
    });
}

#[test]
fn a_101_without_each_header_is_refused() {
    within(async || {
        for name in ["upgrade", "connection", "sec-websocket-accept"] {
            let why = format!("'{name}' must ");
            refused(move |head| without(head, name), &why).await;
        }
        let plain = |_: &Head| "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned();
        refused(plain, "'upgrade' must contain 'websocket', got none").await;
        let old = |head: &Head| head.switch("").replace("HTTP/1.1", "HTTP/1.0");
        refused(old, "a 101 must be of HTTP/1.1, got HTTP/1.0").await;
    });
}

#[test]
fn what_was_not_asked_for_is_refused() {
    within(async || {
        for (more, why) in [
            (
                "Sec-WebSocket-Protocol: v3\r\n",
                "must be one of those offered, 'v2, v1', got 'v3'",
            ),
            (
                "Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v2\r\n",
                "got 2 of them",
            ),
            ("Sec-WebSocket-Protocol: v1, v2\r\n", "got 'v1, v2'"),
            (
                "Sec-WebSocket-Extensions: permessage-deflate\r\n",
                "must be missing, as none was offered, got 'permessage-deflate'",
            ),
            (
                "Content-Length: 5\r\n",
                "a 101 must have no body, got 'content-length' '5'",
            ),
            ("Transfer-Encoding: chunked\r\n", "a 101 must have no body"),
        ] {
            refused(move |head| head.switch(more), why).await;
        }
        let server = answering(|head| head.switch("Sec-WebSocket-Protocol: v1\r\n"));
        let error = fails(&client(), server.ws_url("/")).await;
        assert!(error.is_handshake());
        assert!(
            error.to_string().contains("as none was offered, got 'v1'"),
            "{error}"
        );
    });
}

#[test]
fn another_answer_is_a_response_to_read() {
    within(async || {
        for (status, more) in [
            (200, "X-Note: a\r\n"),
            (404, ""),
            (426, "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        ] {
            for body in [
                "Content-Length: 4\r\n\r\nwhat",
                "Transfer-Encoding: chunked\r\n\r\n4\r\nwhat\r\n0\r\n\r\n",
            ] {
                let answer = format!("HTTP/1.1 {status} Some\r\n{more}{body}");
                let server = answering(move |_| answer.clone());
                let mut response = client().fetch(server.ws_url("/")).await.unwrap();
                assert_eq!(response.status(), status);
                let upgrade = header(&response, "upgrade");
                assert_eq!(upgrade, (status == 426).then_some("websocket"));
                assert_eq!(response.text().await.unwrap(), "what");
                drop(response);
                server.left(1).await;
            }
        }
    });
}

#[test]
fn a_body_up_to_the_end_of_the_connection_is_read() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            conn.send("HTTP/1.1 403 Forbidden\r\n\r\n");
            conn.send("x".repeat(200_000));
        });
        let mut response = client().fetch(server.ws_url("/")).await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.text().await.unwrap().len(), 200_000);
    });
}

#[test]
fn a_redirect_is_given_back() {
    within(async || {
        let server = answering(|_| redirect(302, "/other"));
        let response = client().fetch(server.ws_url("/")).await.unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(header(&response, "location"), Some("/other"));
        assert_eq!(server.accepted(), 1);
    });
}
