//! The opening handshake as a server must do it (RFC 6455 §4.2).
//! Does not look at what follows the 101, but for bytes that came with the request.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use wsworker::prelude::*;

use crate::raw::{Frame, Head, RawClient, Response as Answer, encode_all};
use crate::server::{Event, Recorded, SECRET, Served, within};

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

// Subprotocols

async fn with_protocols(ours: &'static [&'static str], offers: &[&str]) -> Option<String> {
    let server = Recorded::start_with(|s| s.protocols(ours.iter().copied())).await;
    let mut client = RawClient::connect(server.addr).await;
    let mut head = client.upgrade();
    for offer in offers {
        head = head.with("Sec-WebSocket-Protocol", offer);
    }
    client.send_raw(head.encode()).await;
    let answer = client.read_response().await;
    answer.assert_upgraded();
    answer.header("sec-websocket-protocol").map(str::to_owned)
}

#[test]
fn offered_subprotocols_are_ignored_when_the_server_has_none() {
    within(async || {
        assert_eq!(with_protocols(&[], &["chat.v1, chat.v2"]).await, None);
    });
}

#[test]
fn no_subprotocol_is_sent_when_none_was_offered() {
    within(async || {
        assert_eq!(with_protocols(&["chat.v1"], &[]).await, None);
    });
}

#[test]
fn no_subprotocol_is_sent_when_none_fits() {
    within(async || {
        // Subprotocols have a case (RFC 6455 §11.3.4).
        let chosen = with_protocols(&["chat.v1"], &["chat.v2, CHAT.V1"]).await;
        assert_eq!(chosen, None);
    });
}

#[test]
fn the_subprotocol_is_the_first_of_the_servers_that_was_offered() {
    within(async || {
        let ours = &["chat.v3", "chat.v2", "chat.v1"];
        let chosen = with_protocols(ours, &["chat.v1, chat.v2"]).await;
        assert_eq!(chosen.as_deref(), Some("chat.v2"));
    });
}

#[test]
fn subprotocols_may_be_offered_on_two_lines() {
    within(async || {
        let chosen = with_protocols(&["b", "a"], &["a", "b"]).await;
        assert_eq!(chosen.as_deref(), Some("b"));
    });
}

/// Picks the subprotocol that its path names, and greets with what the socket says.
#[worker]
#[derive(Clone)]
struct Picks;

impl Worker for Picks {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let wanted = req.path()[1..].to_owned();
        match req.upgrade()?.protocol(&wanted) {
            Ok(upgrade) => Ok(upgrade.accept()),
            Err(error) => Response::error(format!("refused: {error}"), 418),
        }
    }

    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        ws.send(format!("{:?}", ws.protocol()))
    }

    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_worker_picks_an_offered_subprotocol() {
    within(async || {
        let server = Served::start(Picks).await;
        let mut client = RawClient::connect(server.addr).await;
        let offer = [("Sec-WebSocket-Protocol", "a, b, c")];
        let answer = client.handshake_at("/b", &offer).await;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("b"));
        client.expect_text("Some(\"b\")").await;
    });
}

#[test]
fn a_worker_cannot_pick_what_was_not_offered() {
    within(async || {
        let server = Served::start(Picks).await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::upgrade("/d", client.host()).with("Sec-WebSocket-Protocol", "a, b");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.status, 418);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert!(answer.text().contains('d'), "{}", answer.text());
    });
}

#[test]
fn permessage_deflate_is_declined() {
    within(async || {
        let offer = "permessage-deflate; client_max_window_bits";
        let answer = answer(|head| head.with("Sec-WebSocket-Extensions", offer)).await;
        answer.assert_upgraded();
        assert_eq!(answer.header("sec-websocket-extensions"), None);
    });
}

// Origins

async fn from_origin(
    origin: &str,
    host: Option<&str>,
    configure: impl FnOnce(Server) -> Server,
) -> Answer {
    let server = Recorded::start_with(configure).await;
    let mut client = RawClient::connect(server.addr).await;
    let mut head = client.upgrade().with("Origin", origin);
    if let Some(host) = host {
        head = head.replace("Host", host);
    }
    client.send_raw(head.encode()).await;
    client.read_response().await
}

#[test]
fn a_foreign_origin_is_403_and_told_where_to_list_it() {
    within(async || {
        let answer = from_origin("https://evil.example", None, |s| s).await;
        assert_eq!(answer.status, 403);
        let text = answer.text();
        assert!(text.contains("https://evil.example"), "{text}");
        assert!(text.contains("origins"), "{text}");
    });
}

#[test]
fn an_opaque_origin_is_403() {
    within(async || {
        assert_eq!(from_origin("null", None, |s| s).await.status, 403);
    });
}

#[test]
fn the_origin_of_the_same_host_passes_with_any_scheme() {
    within(async || {
        for (origin, host) in [
            ("http://chat.example:8787", "chat.example:8787"),
            ("https://chat.example:8787", "chat.example:8787"),
            ("https://chat.example", "chat.example"),
            ("http://CHAT.example", "chat.EXAMPLE"),
            ("https://[::1]:8787", "[::1]:8787"),
        ] {
            let answer = from_origin(origin, Some(host), |s| s).await;
            assert_eq!(answer.status, 101, "{origin} to {host}");
        }
    });
}

#[test]
fn another_port_or_part_of_the_name_is_another_origin() {
    within(async || {
        for (origin, host) in [
            ("http://chat.example:8788", "chat.example:8787"),
            ("http://chat.example", "chat.example:8787"),
            ("https://chat.example.evil.example", "chat.example"),
            ("https://evil-chat.example", "chat.example"),
            ("https://sub.chat.example", "chat.example"),
            ("https://chat.example@evil.example", "chat.example"),
        ] {
            let answer = from_origin(origin, Some(host), |s| s).await;
            assert_eq!(answer.status, 403, "{origin} to {host}");
        }
    });
}

#[test]
fn two_origins_do_not_pass() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let ours = format!("http://{}", client.host());
        let head = client.upgrade().with("Origin", &ours);
        let head = head.with("Origin", "https://evil.example");
        client.send_raw(head.encode()).await;
        let status = client.read_response().await.status;
        assert!(matches!(status, 400 | 403), "{status}");
    });
}

#[test]
fn a_listed_origin_passes_and_others_do_not() {
    within(async || {
        let listed = |s: Server| s.origins(["https://app.example"]);
        let answer = from_origin("https://app.example", None, listed).await;
        assert_eq!(answer.status, 101);
        // What is listed is listed with its scheme.
        let answer = from_origin("http://app.example", None, listed).await;
        assert_eq!(answer.status, 403);
        let answer = from_origin("https://other.example", None, listed).await;
        assert_eq!(answer.status, 403);
    });
}

#[test]
fn accept_any_origin_turns_the_check_off() {
    within(async || {
        let any = Server::accept_any_origin;
        let answer = from_origin("https://evil.example", None, any).await;
        assert_eq!(answer.status, 101);
    });
}

#[test]
fn a_foreign_origin_never_reaches_the_worker() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::upgrade("/fetch-fail", client.host());
        let head = head.with("Origin", "https://evil.example");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 403);
    });
}

#[test]
fn the_origin_of_a_plain_request_is_the_workers_business() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::get("/page", client.host()).with("Origin", "https://other.example");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 200);
    });
}

// A fetch that fails

async fn failed(path: &str) -> (u16, String) {
    let server = Recorded::start().await;
    let mut client = RawClient::connect(server.addr).await;
    client
        .send_raw(Head::get(path, client.host()).encode())
        .await;
    let answer = client.read_response().await;
    // Others are served as before.
    RawClient::open(server.addr).await.close().await;
    (answer.status, answer.text().to_owned())
}

#[test]
fn a_failed_fetch_is_500_with_an_id_and_nothing_internal() {
    within(async || {
        let mut texts = HashSet::new();
        for _ in 0..3 {
            let (status, text) = failed("/fetch-fail").await;
            assert_eq!(status, 500);
            assert!(!text.contains(SECRET), "{text}");
            texts.insert(text);
        }
        assert_eq!(texts.len(), 3, "each failure has an id: {texts:?}");
    });
}

#[test]
fn a_panic_in_fetch_is_500_with_an_id_and_nothing_internal() {
    within(async || {
        let mut texts = HashSet::new();
        for _ in 0..3 {
            let (status, text) = failed("/fetch-panic").await;
            assert_eq!(status, 500);
            assert!(!text.contains(SECRET), "{text}");
            assert!(!text.contains(".rs"), "{text}");
            texts.insert(text);
        }
        assert_eq!(texts.len(), 3, "each failure has an id: {texts:?}");
    });
}

#[test]
fn a_connection_goes_on_after_a_failed_fetch() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        for path in ["/fetch-fail", "/fetch-panic"] {
            let head = Head::get(path, client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, 500);
        }
        client.handshake(&[]).await;
    });
}

// Requests before the upgrade, and bytes after it

#[test]
fn requests_may_come_before_the_upgrade() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        for (path, status) in [("/page", 200), ("/", 426), ("/page", 200)] {
            let head = Head::get(path, client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, status);
        }
        client.handshake(&[]).await;
        client.send(Frame::text("after all that")).await;
        client.expect_text("after all that").await;
        server.expect(Event::Open).await;
    });
}

#[test]
fn a_refused_upgrade_may_be_followed_by_a_good_one() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = client.upgrade().replace("Sec-WebSocket-Version", "8");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 426);
        client.handshake(&[]).await;
    });
}

#[test]
fn a_request_and_the_upgrade_may_come_in_one_packet() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let mut bytes = Head::get("/page", client.host()).encode();
        bytes.extend(client.upgrade().encode());
        bytes.extend(Frame::text("early").encode());
        client.send_raw(bytes).await;
        assert_eq!(client.read_response().await.status, 200);
        client.read_response().await.assert_upgraded();
        client.expect_text("early").await;
    });
}

#[test]
fn frames_that_came_with_the_request_are_delivered() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let mut bytes = client.upgrade().encode();
        bytes.extend(encode_all([
            Frame::text("one"),
            Frame::ping("p"),
            Frame::text("two"),
        ]));
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        // A pong need not wait for the messages before it.
        let mut texts = Vec::new();
        for _ in 0..3 {
            let frame = client.read_frame().await;
            if frame.opcode == crate::raw::TEXT {
                texts.push(frame.text().to_owned());
            }
        }
        assert_eq!(texts, ["one", "two"]);
        server.expect(Event::Open).await;
        server.expect(Event::text("one")).await;
        server.expect(Event::text("two")).await;
    });
}

#[test]
fn part_of_a_frame_that_came_with_the_request_is_kept() {
    within(async || {
        let frame = Frame::text("in two parts").encode();
        let server = Recorded::start().await;
        for cut in 1..frame.len() {
            let mut client = RawClient::connect(server.addr).await;
            let mut bytes = client.upgrade().encode();
            bytes.extend(&frame[..cut]);
            client.send_raw(bytes).await;
            client.read_response().await.assert_upgraded();
            client.send_raw(&frame[cut..]).await;
            client.expect_text("in two parts").await;
        }
    });
}

#[test]
fn a_large_frame_may_begin_in_the_requests_packet() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let payload = vec![b'x'; 200_000];
        let mut bytes = client.upgrade().encode();
        bytes.extend(Frame::binary(&payload).encode());
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        client.expect_binary(&payload).await;
    });
}

#[test]
fn the_request_may_come_byte_by_byte() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        for byte in client.upgrade().encode() {
            client.send_raw([byte]).await;
            tokio::task::yield_now().await;
        }
        client.read_response().await.assert_upgraded();
        client.send(Frame::text("there")).await;
        client.expect_text("there").await;
    });
}

// Limits

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_slow_head_is_408() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = RawClient::connect(server.addr).await;
        let begun = Instant::now();
        client.send_raw("GET / HTTP/1.1\r\nHost: x\r\n").await;
        assert_eq!(client.read_response().await.status, 408);
        client.expect_eof().await;
        assert!(begun.elapsed() >= SHORT * 8 / 10, "{:?}", begun.elapsed());
    });
}

#[test]
fn a_head_that_drips_is_408() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        let client = RawClient::connect(server.addr).await;
        let head = client.upgrade().with("X", &"y".repeat(500)).encode();
        let (mut reader, mut writer) = (client.reader, client.writer);
        let begun = Instant::now();
        let dripping = tokio::spawn(async move {
            for byte in head {
                if !writer.try_send([byte]).await {
                    break;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert_eq!(reader.read_response().await.status, 408);
        reader.expect_eof().await;
        assert!(begun.elapsed() < SHORT * 3, "{:?}", begun.elapsed());
        dripping.abort();
    });
}

#[test]
fn no_408_follows_a_response() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        for second in ["", "GET / HTTP/1.1\r\nHo"] {
            let mut client = RawClient::connect(server.addr).await;
            let head = Head::get("/page", client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, 200);
            client.send_raw(second).await;
            client.expect_eof().await;
        }
    });
}

#[test]
fn the_handshakes_deadline_ends_with_the_handshake() {
    within(async || {
        let server = Recorded::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = RawClient::open(server.addr).await;
        client.reader.expect_quiet(SHORT * 2).await;
        client.send(Frame::text("still here")).await;
        client.expect_text("still here").await;
    });
}

async fn with_large_head(bytes: usize, configure: impl FnOnce(Server) -> Server) -> Vec<u8> {
    let server = Recorded::start_with(configure).await;
    let mut client = RawClient::connect(server.addr).await;
    let head = client.upgrade().with("X-Padding", &"p".repeat(bytes));
    client.writer.try_send(head.encode()).await;
    let end = b"\r\n\r\n";
    let mut answer = Vec::new();
    while !answer.windows(4).any(|w| w == end) {
        match client.reader.read_one_byte_or_end().await {
            Some(byte) => answer.push(byte),
            None => break,
        }
    }
    answer
}

fn status_of(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_head_over_the_default_limit_is_431() {
    within(async || {
        // The default is 16 KiB.
        assert_eq!(status_of(&with_large_head(12_000, |s| s).await), "101");
        assert_eq!(status_of(&with_large_head(20_000, |s| s).await), "431");
    });
}

#[test]
fn a_head_over_a_limit_of_ones_own_is_431() {
    within(async || {
        let limit = |s: Server| s.max_header_size(32 * 1024);
        assert_eq!(status_of(&with_large_head(25_000, limit).await), "101");
        assert_eq!(status_of(&with_large_head(40_000, limit).await), "431");
        let limit = |s: Server| s.max_header_size(1024);
        assert_eq!(status_of(&with_large_head(500, limit).await), "101");
        assert_eq!(status_of(&with_large_head(1200, limit).await), "431");
    });
}

#[test]
fn a_head_that_never_ends_is_431() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        client.send_raw("GET / HTTP/1.1\r\nX: ").await;
        for _ in 0..64 {
            if !client.writer.try_send([b'a'; 1024]).await {
                break;
            }
        }
        let answer = client.reader.read_to_end().await;
        // The reply may be lost to the RST that our later bytes earn.
        assert!(
            answer.is_empty() || status_of(&answer) == "431",
            "{answer:?}"
        );
    });
}

#[test]
fn too_many_headers_are_431() {
    within(async || {
        let answer = answer(|mut head| {
            for i in 0..300 {
                head = head.with(&format!("x-{i}"), "1");
            }
            head
        })
        .await;
        assert_eq!(answer.status, 431);
    });
}

// What the worker is told

/// Says in its greeting what it was told of the request and its surroundings.
#[worker]
#[derive(Clone)]
struct Tells {
    fetched: usize,
}

impl Worker for Tells {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        self.fetched += 1;
        if req.is_upgrade() {
            return Ok(req.upgrade()?.accept());
        }
        Ok(Response::text(format!(
            "{} {} {:?} {}",
            req.method(),
            req.path(),
            req.header("X-Color"),
            env.var("COLOR")?
        )))
    }

    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        ws.send(format!("{} {:?}", req.path(), req.header("x-color")))?;
        let same = req.remote_addr() == ws.remote_addr();
        ws.send(format!("{:?} {same}", ws.remote_addr()))?;
        ws.send(ws.env().var("COLOR")?.to_owned())
    }

    async fn on_message(&mut self, ws: &WebSocket, _message: Message) -> Result<()> {
        ws.send(format!("fetched {}", self.fetched))
    }
}

#[test]
fn the_worker_sees_the_request_and_the_peer() {
    within(async || {
        let server = Served::start_with(Tells { fetched: 0 }, |s| s.var("COLOR", "green")).await;
        let mut client = RawClient::connect(server.addr).await;
        let extra = [("X-Color", "blue")];
        client.handshake_at("/there?q=1", &extra).await;
        client.expect_text("/there Some(\"blue\")").await;
        let addr = client.local_addr();
        client.expect_text(&format!("{:?} true", Some(addr))).await;
        client.expect_text("green").await;
    });
}

#[test]
fn the_value_that_upgraded_is_the_connections_own() {
    within(async || {
        let server = Served::start_with(Tells { fetched: 0 }, |s| s.var("COLOR", "green")).await;
        let mut client = RawClient::connect(server.addr).await;
        // Two requests on one connection: two values.
        let head = Head::get("/page", client.host()).with("x-color", "red");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "GET /page Some(\"red\") green");
        client.handshake(&[]).await;
        for _ in 0..3 {
            client.read_frame().await;
        }
        client.send(Frame::text("?")).await;
        client.expect_text("fetched 1").await;
    });
}

#[test]
fn a_missing_variable_is_an_error_and_so_a_500() {
    within(async || {
        let server = Served::start(Tells { fetched: 0 }).await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::get("/page", client.host());
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("COLOR"), "{}", answer.text());
    });
}
