//! Servers that misbehave: each is an error that says how, in time, and nothing is
//! left of the connection. Each test has a process of its own, to count in.
//! Does not list all that a server can do wrong: `handshake` and `frames` do.

use std::time::Duration;

use tokio::time::timeout;
use wsworker::{Event, Request};

use super::raw_server::{Conn, Head, RawServer};
use super::{SHORT, build, fails};
use crate::alone::{Held, alone};
use crate::raw::{DEADLINE, Frame};

/// Serves what misbehaves, and wants the client to leave.
fn misbehaving(serve: impl Fn(&mut Conn, &Head) + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |conn| {
        let head = conn.head().unwrap();
        serve(conn, &head);
        conn.until_left();
    })
}

/// Wants no WebSocket, for this reason.
async fn is_refused(serve: impl Fn(&mut Conn, &Head) + Send + Sync + 'static, why: &str) {
    let server = misbehaving(serve);
    let before = Held::now();
    let client = build(|c| c.handshake_timeout(SHORT));
    let error = timeout(DEADLINE, fails(&client, server.ws_url("/"))).await;
    let error = error.expect("it hangs");
    let text = error.to_string().replace(&server.addr.to_string(), "ADDR");
    assert!(error.is_handshake() || error.is_fetch(), "{text}");
    assert!(text.contains(why), "wanted '{why}', got '{text}'");
    drop(client);
    before.again(why).await;
    server.left(1).await;
}

/// Wants this answer to be refused.
async fn answer_is_refused(answer: fn(&Head) -> String, why: &str) {
    let serve = move |conn: &mut Conn, head: &Head| _ = conn.send(answer(head));
    is_refused(serve, &format!("the WebSocket handshake failed: {why}")).await;
}

#[test]
fn a_wrong_answer_is_refused() {
    alone(async || {
        answer_is_refused(
            |head| head.switch("").replace(&head.accept(), "AAAA"),
            "'sec-websocket-accept' must be given once and be '",
        )
        .await;
        answer_is_refused(
            |head| head.switch("Sec-WebSocket-Protocol: v9\r\n"),
            "'sec-websocket-protocol' must be missing, as none was offered, got 'v9'",
        )
        .await;
        answer_is_refused(
            |head| head.switch("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            "'sec-websocket-extensions' must be missing, as none was offered, \
             got 'permessage-deflate'",
        )
        .await;
        answer_is_refused(
            |_| "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
            "'upgrade' must contain 'websocket', got none",
        )
        .await;
        answer_is_refused(
            |head| head.switch("Content-Length: 5\r\n") + "hello",
            "a 101 must have no body, got 'content-length' '5'",
        )
        .await;
        answer_is_refused(
            |head| head.switch("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
            "a 101 must have no body, got 'transfer-encoding' 'chunked'",
        )
        .await;
    });
}

#[test]
fn a_subprotocol_of_the_servers_own_is_refused() {
    alone(async || {
        let server = misbehaving(|conn, head| {
            conn.send(head.switch("Sec-WebSocket-Protocol: v9\r\n"));
        });
        let before = Held::now();
        let client = build(|c| c);
        let request = Request::get(server.ws_url("/")).header("Sec-WebSocket-Protocol", "v2, v1");
        let error = fails(&client, request).await;
        assert_eq!(
            error.to_string(),
            "the WebSocket handshake failed: 'sec-websocket-protocol' must be one of those \
             offered, 'v2, v1', got 'v9'"
        );
        drop(client);
        before.again("a protocol of its own").await;
    });
}

#[test]
fn a_handshake_without_an_end_is_given_up() {
    alone(async || {
        let late = "no answer from http://ADDR within 200ms (handshake_timeout)";
        is_refused(|_, _| {}, late).await;
        is_refused(|conn, _| _ = conn.send("HTTP/1.1 101 Sw"), late).await;
        let drips = |conn: &mut Conn, _: &Head| {
            conn.send("HTTP/1.1 101 Switching Protocols\r\nx: ");
            while conn.send("y") {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        is_refused(drips, late).await;
        let floods = |conn: &mut Conn, _: &Head| {
            conn.send("HTTP/1.1 101 Switching Protocols\r\n");
            while conn.send(format!("x: {}\r\n", "y".repeat(1000))) {}
        };
        let large = "no response from http://ADDR: message head is too large";
        is_refused(floods, large).await;
    });
}

#[test]
fn a_server_that_does_not_speak_http_is_refused() {
    alone(async || {
        let no_http = "no response from http://ADDR: invalid HTTP version parsed";
        is_refused(|conn, _| _ = conn.send("SSH-2.0-x\r\n\r\n"), no_http).await;
    });
}

/// Wants what comes behind a good 101 to be an error of these words, and to end
/// the connection with this code.
async fn is_a_violation(bytes: Vec<u8>, code: u16, why: &str) {
    let server = misbehaving(move |conn, head| {
        // At once, so that a part of it may come with the head.
        conn.send([head.switch("").as_bytes(), &bytes].concat());
        conn.expect_close(code);
    });
    let before = Held::now();
    let client = build(|c| c.close_timeout(SHORT));
    let response = client.fetch(server.ws_url("/")).await.unwrap();
    let mut events = response.into_websocket().unwrap().accept();
    let mut next = async || timeout(DEADLINE, events.next()).await.expect("it hangs");
    match next().await {
        Some(Event::Error(error)) => {
            assert!(error.is_protocol());
            assert_eq!(error.close_code(), Some(code));
            assert_eq!(error.to_string(), why);
        }
        other => panic!("wanted an error, got {other:?}"),
    }
    match next().await {
        Some(Event::Close(close)) => assert_eq!((close.code, close.was_clean), (code, false)),
        other => panic!("wanted a close, got {other:?}"),
    }
    assert!(next().await.is_none());
    drop(events);
    drop(client);
    before.again(why).await;
}

#[test]
fn a_frame_that_a_server_may_not_send_is_a_violation() {
    alone(async || {
        let masked = "a server's frame must not be masked";
        is_a_violation(Frame::text("hello").encode(), 1002, masked).await;
        is_a_violation(Frame::close(1000, "").encode(), 1002, masked).await;
        // A body after the 101 is taken for frames: '<' is 0x3c.
        let reserved = "reserved bits 011 are set, and no extension was negotiated";
        is_a_violation(b"<html>not found</html>".to_vec(), 1002, reserved).await;
        let large = Frame::binary("").announcing(2 << 20).unmasked().encode();
        let limit = "a message holds at most 1048576 bytes";
        is_a_violation(large, 1009, limit).await;
    });
}
