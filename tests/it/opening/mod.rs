//! The opening handshake as a server must do it (RFC 6455 §4.2).
//! Does not look at what follows the 101, but for bytes that came with the request.

mod choices;
mod limits;
mod origins;
mod requests;
mod ways;

use crate::raw::{Frame, Head, RawClient, Response as Answer};
use crate::server::{Recorded, within};

/// What the server under test, a plain recorder, answers to a changed upgrade.
async fn answer(change: impl FnOnce(Head) -> Head) -> Answer {
    let server = Recorded::start().await;
    let mut client = RawClient::connect(server.addr).await;
    let head = change(client.upgrade());
    client.send_raw(head.encode()).await;
    client.read_response().await
}

#[test]
fn a_valid_upgrade_is_101() {
    within(async || {
        answer(|head| head).await.assert_upgraded();
    });
}

#[test]
fn the_accept_header_answers_the_key() {
    within(async || {
        let key = "AAECAwQFBgcICQoLDA0ODw==";
        let answer = answer(|head| head.replace("Sec-WebSocket-Key", key)).await;
        let accept = answer.header("sec-websocket-accept");
        assert_eq!(accept, Some("Bz3qJYTGdOe8gUSpLosEdiLKDrk="));
    });
}

#[test]
fn a_plain_get_is_426_and_says_what_to_upgrade_to() {
    within(async || {
        let answer = answer(|head| {
            head.without("Upgrade")
                .without("Connection")
                .without("Sec-WebSocket-Key")
                .without("Sec-WebSocket-Version")
        })
        .await;
        assert_eq!(answer.status, 426);
        assert_eq!(answer.text().trim_end(), "Expected Upgrade: websocket");
        // RFC 9110 §15.5.22 wants `Upgrade`, §7.8 wants `Connection` with it.
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert!(answer.has_token("connection", "upgrade"), "{answer:?}");
    });
}

#[test]
fn the_upgrade_token_has_no_case() {
    within(async || {
        let value = |v| move |head: Head| head.replace("Upgrade", v);
        answer(value("WebSocket")).await.assert_upgraded();
        answer(value("WEBSOCKET")).await.assert_upgraded();
    });
}

#[test]
fn another_upgrade_is_426() {
    within(async || {
        let answer = answer(|head| head.replace("Upgrade", "h2c")).await;
        assert_eq!(answer.status, 426);
        assert_eq!(answer.header("upgrade"), Some("websocket"));
    });
}

#[test]
fn upgrade_is_a_list_of_tokens() {
    within(async || {
        let value = |v| move |head: Head| head.replace("Upgrade", v);
        answer(value("websocket, h2c")).await.assert_upgraded();
        answer(value("h2c,websocket")).await.assert_upgraded();
        let two_lines = |head: Head| head.replace("Upgrade", "h2c").with("Upgrade", "websocket");
        answer(two_lines).await.assert_upgraded();
        assert_eq!(answer(value("websockets")).await.status, 426);
    });
}

#[test]
fn a_missing_key_is_400_and_named() {
    within(async || {
        let answer = answer(|head| head.without("Sec-WebSocket-Key")).await;
        assert_eq!(answer.status, 400);
        let text = answer.text().to_lowercase();
        assert!(text.contains("sec-websocket-key"), "{text}");
    });
}

#[test]
fn a_key_that_is_not_16_bytes_is_400() {
    within(async || {
        for key in [
            "abc",
            "!!!!",
            "",
            "AAAAAAAAAAAAAAAAAAAA",     // 15 bytes
            "AAAAAAAAAAAAAAAAAAAAAAA=", // 17 bytes
            "dGhlIHNhbXBsZSBub25jZQ",   // no padding
        ] {
            let answer = answer(|head| head.replace("Sec-WebSocket-Key", key)).await;
            assert_eq!(answer.status, 400, "key {key:?}");
        }
    });
}

#[test]
fn a_key_given_twice_is_400() {
    within(async || {
        let key = crate::raw::KEY;
        let answer = answer(|head| head.with("Sec-WebSocket-Key", key)).await;
        assert_eq!(answer.status, 400);
    });
}

#[test]
fn another_version_is_426_with_ours() {
    within(async || {
        for version in ["8", "0", "113", "13x", ""] {
            let answer = answer(|head| head.replace("Sec-WebSocket-Version", version)).await;
            assert_eq!(answer.status, 426, "version {version:?}");
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        }
    });
}

#[test]
fn a_missing_version_is_426_with_ours() {
    within(async || {
        let answer = answer(|head| head.without("Sec-WebSocket-Version")).await;
        assert_eq!(answer.status, 426);
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    });
}

#[test]
fn another_method_is_405_and_get_is_allowed() {
    within(async || {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let line = format!("{method} / HTTP/1.1");
            let answer = answer(|head| head.line(&line)).await;
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.header("allow"), Some("GET"));
        }
    });
}

#[test]
fn no_connection_upgrade_is_400() {
    within(async || {
        assert_eq!(answer(|h| h.without("Connection")).await.status, 400);
        let keep_alive = |head: Head| head.replace("Connection", "keep-alive");
        assert_eq!(answer(keep_alive).await.status, 400);
    });
}

#[test]
fn connection_is_a_list_of_tokens() {
    within(async || {
        let value = |v| move |head: Head| head.replace("Connection", v);
        answer(value("keep-alive, Upgrade")).await.assert_upgraded();
        answer(value("upgrade")).await.assert_upgraded();
        let two_lines = |head: Head| {
            head.replace("Connection", "keep-alive")
                .with("Connection", "upgrade")
        };
        answer(two_lines).await.assert_upgraded();
    });
}

#[test]
fn http_1_0_is_400() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = client.upgrade().line("GET / HTTP/1.0");
        client.send_raw(head.encode()).await;
        let answer = client.reader.read_to_end().await;
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1);
        assert_eq!(status, Some("400"), "{answer:?}");
    });
}

#[test]
fn a_get_with_a_body_is_400() {
    within(async || {
        // The body is a frame: it must not be taken for one.
        let server = Recorded::start().await;
        let frame = Frame::text("smuggled").encode();
        for (name, value) in [
            ("Content-Length", frame.len().to_string()),
            ("Transfer-Encoding", "chunked".to_owned()),
        ] {
            let mut client = RawClient::connect(server.addr).await;
            let mut bytes = client.upgrade().with(name, &value).encode();
            bytes.extend_from_slice(&frame);
            client.send_raw(bytes).await;
            assert_eq!(client.read_response().await.status, 400, "{name}");
        }
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn no_host_is_400() {
    within(async || {
        assert_eq!(answer(|head| head.without("Host")).await.status, 400);
    });
}

#[test]
fn two_hosts_are_400() {
    within(async || {
        let answer = answer(|head| head.with("Host", "other.example")).await;
        assert_eq!(answer.status, 400);
    });
}

#[test]
fn what_is_not_http_is_refused_and_closed() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        client
            .send_raw(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 hello\r\n\r\n")
            .await;
        let answer = client.reader.read_to_end().await;
        let text = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || text.starts_with("HTTP/1.1 400 "),
            "{text:?}"
        );
    });
}
