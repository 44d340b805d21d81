//! The `proxy` example, from both sides of it, as lines and bytes.
//! Does not treat what a relay does with frames: `relay` does.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Echo, example};
use crate::client::raw_server::{Conn, Head as Seen, RawServer};
use crate::program::Program;
use crate::raw::{Frame, Head, KEY, RawClient, Response};
use crate::server::within;

fn proxy(upstream: &str) -> Program {
    Program::start(example("proxy"), &[("UPSTREAM", upstream)])
}

/// The proxy in front of a server that does this with each connection.
struct Proxied {
    addr: SocketAddr,
    upstream: RawServer,
    _proxy: Program,
}

impl Proxied {
    fn start(serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> Proxied {
        Proxied::start_with(&[], serve)
    }

    fn start_with(
        env: &[(&str, &str)],
        serve: impl Fn(&mut Conn) + Send + Sync + 'static,
    ) -> Proxied {
        let upstream = RawServer::start(serve);
        let url = upstream.url("/");
        let env = [&[("UPSTREAM", &*url)], env].concat();
        let mut proxy = Program::start(example("proxy"), &env);
        Proxied {
            addr: proxy.addr(),
            upstream,
            _proxy: proxy,
        }
    }

    async fn connect(&self) -> RawClient {
        RawClient::connect(self.addr).await
    }

    /// Sends this, and gives what answers it.
    async fn ask(&self, head: Head, body: impl AsRef<[u8]>) -> Response {
        let mut client = self.connect().await;
        client
            .send_raw([&head.encode(), body.as_ref()].concat())
            .await;
        client.read_response().await
    }

    fn host(&self) -> String {
        self.addr.to_string()
    }
}

/// All of a head, as `name: value` in the order of names.
fn lines(head: &Seen) -> Vec<String> {
    let lines = head.headers.iter();
    let mut lines: Vec<_> = lines
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}

/// What a browser or a proxy before this one puts into a request, for this connection alone.
fn with_hop_by_hop(head: Head) -> Head {
    head.with("X-Hop", "1")
        .with("Keep-Alive", "timeout=5")
        .with("Proxy-Connection", "keep-alive")
        .with("Proxy-Authorization", "Basic eDp5")
        .with("TE", "trailers")
        .with("Trailer", "x-checksum")
}

/// What is the client's own, and goes through.
fn with_end_to_end(head: Head) -> Head {
    head.with("Cookie", "a=b; c=d")
        .with("Authorization", "Bearer x")
        .with("User-Agent", "browser/1")
        .with("X-Forwarded-For", "192.0.2.1")
        .with("X-Twice", "1")
        .with("X-Twice", "2")
}

#[test]
fn an_upgrade_reaches_the_upstream_as_a_request_of_the_proxys_own() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.line, "GET /room/a%20b?x=1&y HTTP/1.1");
            let key = head.header("sec-websocket-key").unwrap();
            assert_ne!(key, KEY);
            assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
            let (host, key) = (conn.local, key.to_owned());
            let wanted = [
                "authorization: Bearer x".to_owned(),
                "connection: Upgrade".to_owned(),
                "cookie: a=b; c=d".to_owned(),
                format!("host: {host}"),
                format!("sec-websocket-key: {key}"),
                "sec-websocket-protocol: v2, v1".to_owned(),
                "sec-websocket-version: 13".to_owned(),
                "upgrade: websocket".to_owned(),
                "user-agent: browser/1".to_owned(),
                "x-forwarded-for: 192.0.2.1".to_owned(),
                "x-twice: 1".to_owned(),
                "x-twice: 2".to_owned(),
            ];
            assert_eq!(lines(&head), wanted);
            conn.send(head.switch(
                "Sec-WebSocket-Protocol: v1\r\nSet-Cookie: e=f\r\nSet-Cookie: g=h\r\n\
                 X-Note: a\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nConnection: x-secret\r\n",
            ));
            conn.expect_text("hello");
            conn.say(Frame::text("hello yourself"));
            conn.expect_close(4003);
            conn.say(Frame::close(4003, "bye"));
        });
        let mut client = proxied.connect().await;
        let head = Head::upgrade("/room/a%20b?x=1&y", client.host())
            .replace("Connection", "Upgrade, x-hop")
            .with("Origin", &format!("http://{}", client.host()))
            .with("Sec-WebSocket-Extensions", "permessage-deflate")
            .with("Sec-WebSocket-Protocol", "v2, v1");
        let head = with_end_to_end(with_hop_by_hop(head));
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        // The answer to the client's key, not to the proxy's.
        answer.assert_upgraded();
        assert_eq!(answer.header("sec-websocket-protocol"), Some("v1"));
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        assert_eq!(answer.header("x-note"), Some("a"));
        let cookies = answer.headers.iter().filter(|(n, _)| n == "set-cookie");
        assert_eq!(cookies.count(), 2);
        for gone in ["keep-alive", "x-secret"] {
            assert_eq!(answer.header(gone), None);
        }
        client.send(Frame::text("hello")).await;
        client.expect_text("hello yourself").await;
        client.send(Frame::close(4003, "bye")).await;
        assert_eq!(client.expect_close(4003).await, "bye");
        client.expect_clean_eof().await;
    });
}

#[test]
fn a_page_of_another_origin_does_not_reach_the_upstream() {
    within(async || {
        let proxied = Proxied::start(|_| {});
        let head = Head::upgrade("/", &proxied.host()).with("Origin", "http://evil.example");
        let answer = proxied.ask(head, "").await;
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("http://evil.example"));
        assert_eq!(proxied.upstream.accepted(), 0);
    });
}

#[test]
fn a_plain_request_reaches_the_upstream_without_what_was_its_connections() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.line, "PUT /a?b HTTP/1.1");
            let wanted = [
                "accept: */*",
                "authorization: Bearer x",
                "content-length: 4",
                "content-type: text/plain",
                "cookie: a=b; c=d",
                &format!("host: {}", conn.local),
                "origin: http://page.example",
                "user-agent: browser/1",
                "x-forwarded-for: 192.0.2.1",
                "x-twice: 1",
                "x-twice: 2",
            ];
            assert_eq!(lines(&head), wanted);
            assert_eq!(conn.bytes(4), b"text");
            conn.send(
                "HTTP/1.1 201 Created\r\nContent-Length: 4\r\nContent-Type: text/x\r\n\
                 Set-Cookie: e=f\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
                 Connection: keep-alive, x-secret\r\n\r\nmade",
            );
            conn.until_left();
        });
        let head = Head::get("/a?b", &proxied.host())
            .line("PUT /a?b HTTP/1.1")
            .with("Connection", "keep-alive, X-Hop")
            .with("Content-Type", "text/plain")
            .with("Content-Length", "4")
            // Whether a plain request may come from a page is the upstream's to say.
            .with("Origin", "http://page.example");
        let answer = proxied
            .ask(with_end_to_end(with_hop_by_hop(head)), "text")
            .await;
        assert_eq!((answer.status, answer.text()), (201, "made"));
        assert_eq!(answer.header("content-type"), Some("text/x"));
        assert_eq!(answer.header("set-cookie"), Some("e=f"));
        for gone in ["keep-alive", "x-secret"] {
            assert_eq!(answer.header(gone), None);
        }
    });
}

/// Sends each chunk of a request's body back as it comes.
fn send_back(conn: &mut Conn) {
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    loop {
        let head = conn.until(b"\r\n");
        let length = std::str::from_utf8(&head).unwrap().trim();
        let length = usize::from_str_radix(length, 16).unwrap();
        let data = conn.bytes(length + 2);
        conn.send([head, data].concat());
        if length == 0 {
            return;
        }
    }
}

#[test]
fn bodies_go_through_as_they_come_both_ways() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.header("transfer-encoding"), Some("chunked"));
            assert_eq!(head.header("content-length"), None);
            send_back(conn);
            conn.until_left();
        });
        let mut client = proxied.connect().await;
        let head = Head::post("/", client.host()).with("Transfer-Encoding", "chunked");
        client
            .send_raw([&head.encode(), &b"1\r\n.\r\n"[..]].concat())
            .await;
        assert_eq!(client.reader.read_head().await.status, 200);
        assert_eq!(client.reader.read_chunk().await.unwrap(), b".");
        // Each part comes back before the next one is sent.
        for part in ["hello", " ", "world"] {
            let chunk = format!("{:x}\r\n{part}\r\n", part.len());
            client.send_raw(chunk).await;
            assert_eq!(client.reader.read_chunk().await.unwrap(), part.as_bytes());
        }
        client.send_raw("0\r\n\r\n").await;
        assert_eq!(client.reader.read_chunk().await, None);
    });
}

#[test]
fn a_body_of_a_megabyte_goes_through_both_ways() {
    within(async || {
        let body: Vec<u8> = (0..1 << 20).map(|i| (i * 31 % 251) as u8).collect();
        let proxied = Proxied::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.header("content-length"), Some("1048576"));
            let body = conn.bytes(1 << 20);
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n");
            conn.send(body);
            conn.until_left();
        });
        let answer = proxied.connect().await.post("/", &body).await;
        assert_eq!(answer.header("content-length"), Some("1048576"));
        assert!(answer.body == body);
    });
}

#[test]
fn the_answer_to_a_head_has_its_length_and_no_body() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            while let Some(head) = conn.head() {
                assert_eq!(head.line, "HEAD / HTTP/1.1");
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
            }
        });
        let mut client = proxied.connect().await;
        for _ in 0..2 {
            let head = Head::get("/", client.host()).line("HEAD / HTTP/1.1");
            client.send_raw(head.encode()).await;
            let answer = client.reader.read_head().await;
            assert_eq!(
                (answer.status, answer.header("content-length")),
                (200, Some("5"))
            );
        }
    });
}

#[test]
fn redirects_and_refusals_are_the_clients_to_follow() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            while let Some(head) = conn.head() {
                conn.send(match head.path() {
                    "/moved" => {
                        "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/x\r\n\
                         Content-Length: 4\r\n\r\nmove"
                    }
                    "/unchanged" => "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
                    "/asked" => {
                        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\
                         Content-Length: 4\r\n\r\nwho?"
                    }
                    other => panic!("{other}"),
                });
            }
        });
        let mut client = proxied.connect().await;
        let answer = client.get("/moved").await;
        assert_eq!((answer.status, answer.text()), (302, "move"));
        assert_eq!(answer.header("location"), Some("http://192.0.2.1/x"));
        let answer = client.get("/unchanged").await;
        assert_eq!((answer.status, answer.header("etag")), (304, Some("\"x\"")));
        for head in [
            Head::get("/asked", &proxied.host()),
            Head::upgrade("/asked", &proxied.host()),
        ] {
            let answer = proxied.ask(head, "").await;
            assert_eq!((answer.status, answer.text()), (401, "who?"));
            assert_eq!(answer.header("www-authenticate"), Some("Basic"));
        }
    });
}

#[test]
fn a_body_over_the_proxys_limit_is_413_and_its_upstream_does_not_get_it() {
    within(async || {
        let limit = ("WSWORKER_MAX_BODY", "1000B");
        let proxied = Proxied::start_with(&[limit], |conn| {
            // The head may have been sent by then; the body never ends.
            if conn.head().is_some() {
                conn.until_left();
            }
        });
        let announced = Head::post("/", &proxied.host()).with("Content-Length", "1001");
        let answer = proxied.ask(announced, "").await;
        assert_eq!(answer.status, 413);
        assert_eq!(answer.text(), "the body has 1001 bytes; the limit is 1000");
        let streamed = Head::post("/", &proxied.host()).with("Transfer-Encoding", "chunked");
        let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
        let answer = proxied.ask(streamed, chunk.repeat(3)).await;
        assert_eq!(answer.status, 413);
        let text = answer.text();
        assert_eq!(text, "the body has more than 1000 bytes; the limit is 1000");
        proxied.upstream.left(proxied.upstream.accepted()).await;
    });
}

#[test]
fn a_broken_body_is_the_clients_fault_and_a_slow_one_too() {
    within(async || {
        let patience = ("WSWORKER_HANDSHAKE_TIMEOUT", "300ms");
        let proxied = Proxied::start_with(&[patience], |conn| {
            if conn.head().is_some() {
                conn.until_left();
            }
        });
        for (body, status) in [("5\r\nhello\r\nnonsense\r\n", 400), ("5\r\nhel", 408)] {
            let head = Head::post("/", &proxied.host()).with("Transfer-Encoding", "chunked");
            let answer = proxied.ask(head, body).await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
    });
}

#[test]
fn an_upstream_that_takes_no_more_of_a_body_is_heard() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            conn.head().unwrap();
            conn.bytes(1000);
            conn.send(
                "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\
                 Content-Length: 8\r\n\r\ntoo much",
            );
            conn.until_left();
        });
        let head = Head::post("/", &proxied.host()).with("Content-Length", "1000000");
        let answer = proxied.ask(head, [b'x'; 1000]).await;
        assert_eq!((answer.status, answer.text()), (413, "too much"));
    });
}

#[test]
fn an_upstream_that_breaks_the_handshake_is_a_bad_gateway() {
    within(async || {
        let proxied = Proxied::start(|conn| {
            let head = conn.head().unwrap();
            conn.send(match head.path() {
                "/key" => head.switch("").replace(&head.accept(), "AAAA"),
                "/protocol" => head.switch("Sec-WebSocket-Protocol: v9\r\n"),
                "/extension" => head.switch("Sec-WebSocket-Extensions: x\r\n"),
                _ => "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(),
            });
            conn.until_left();
        });
        for path in ["/key", "/protocol", "/extension", "/nothing"] {
            let head = Head::upgrade(path, &proxied.host());
            let answer = proxied.ask(head, "").await;
            assert_eq!(
                (answer.status, answer.text()),
                (502, "Bad Gateway"),
                "{path}"
            );
        }
        proxied.upstream.left(4).await;
    });
}

#[test]
fn a_proxy_without_an_upstream_says_so() {
    within(async || {
        let mut proxy = Program::start(example("proxy"), &[]);
        let mut client = RawClient::connect(proxy.addr()).await;
        assert_eq!(client.get("/").await.status, 500);
        proxy.says("UPSTREAM");
    });
}

#[test]
fn the_proxy_passes_messages_pings_and_closes() {
    within(async || {
        let mut echo = Echo::start(&[("WSWORKER_PROTOCOLS", "chat.v2")]);
        let mut proxy = proxy(&format!("http://{}", echo.addr()));
        let mut client = RawClient::connect(proxy.addr()).await;
        let offer = ("Sec-WebSocket-Protocol", "chat.v1, chat.v2");
        let answer = client.handshake(&[offer]).await;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("chat.v2"));
        client.send(Frame::text("hello")).await;
        client.expect_text("hello").await;
        client.send(Frame::ping("there?")).await;
        client.expect_pong(b"there?").await;
        client.send(Frame::close(4001, "bye")).await;
        assert_eq!(client.expect_close(4001).await, "bye");
        client.expect_clean_eof().await;
    });
}

#[test]
fn the_proxy_says_what_became_of_its_upstream() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let mut proxy = proxy(&format!("http://{}", echo.addr()));
        let addr = proxy.addr();
        let mut client = RawClient::open(addr).await;
        client.send(Frame::text("hello")).await;
        client.expect_text("hello").await;
        drop(echo);
        client.expect_close(1014).await;
        let mut plain = RawClient::connect(addr).await;
        assert_eq!(plain.get("/").await.status, 502);
    });
}

#[test]
fn the_proxy_passes_messages_as_large_as_its_own_limit() {
    within(async || {
        let limit = ("WSWORKER_MAX_MESSAGE", "4MiB");
        let mut echo = Echo::start(&[limit]);
        let upstream = format!("http://{}", echo.addr());
        let settings = [("UPSTREAM", &*upstream), limit];
        let mut proxy = Program::start(example("proxy"), &settings);
        let mut client = RawClient::open(proxy.addr()).await;
        let large = vec![7; 3 << 20];
        client.send(Frame::binary(&large)).await;
        client.expect_binary(&large).await;
        client.close().await;
    });
}
