//! A worker that sends its requests on: what of them goes through.
//! Does not treat the frames between: the relays of `pairs` do.

use std::net::{SocketAddr, TcpListener};

use wsworker::prelude::*;
use wsworker::{Client, Redirect};

use super::raw_server::RawServer;
use super::{SHORT, build, ok, redirect, streamed};
use crate::raw::{Frame, Head, RawClient};
use crate::server::{Served, within};

/// In front of one server.
#[worker]
#[derive(Clone)]
struct Proxy {
    upstream: SocketAddr,
    client: Client,
}

impl Worker for Proxy {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let url = format!("http://{}{}", self.upstream, req.uri());
        let forwarded = req.into_builder().url(url);
        let response = self.client.fetch(forwarded).await;
        response.or_else(|error| Response::error(error.to_string(), 502))
    }
}

async fn in_front_of(upstream: SocketAddr) -> Served {
    let proxy = Proxy {
        upstream,
        client: build(|c| c.redirect(Redirect::Manual)),
    };
    Served::start_with(proxy, |server| server.accept_any_origin()).await
}

#[test]
fn requests_and_responses_go_through_without_what_was_a_connections() {
    within(async || {
        let upstream = RawServer::start(|conn| {
            let host = conn.head().map(|head| {
                assert_eq!(head.line, "POST /x?y HTTP/1.1");
                for gone in ["connection", "x-hop", "te", "keep-alive"] {
                    assert_eq!(head.header(gone), None);
                }
                assert_eq!(head.header("cookie"), Some("a=b"));
                assert_eq!(head.header("content-length"), Some("4"));
                head.header("host").unwrap().to_owned()
            });
            let body = String::from_utf8(conn.bytes(4)).unwrap();
            conn.send(format!(
                "HTTP/1.1 201 Created\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, x-secret\r\n\
                 X-Secret: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nTransfer-Encoding: chunked\r\n\r\n\
                 4\r\n{body}\r\n0\r\n\r\n"
            ));
            assert_eq!(host, Some(conn.local.to_string()));
            conn.until_left();
        });
        let served = in_front_of(upstream.addr).await;
        let mut client = RawClient::connect(served.addr).await;
        let head = Head::get("/x?y", "worker.example")
            .line("POST /x?y HTTP/1.1")
            .with("Connection", "keep-alive, x-hop")
            .with("X-Hop", "1")
            .with("Keep-Alive", "timeout=5")
            .with("TE", "trailers")
            .with("Cookie", "a=b")
            .with("Content-Length", "4");
        client.send_raw(head.encode()).await;
        client.send_raw(b"text").await;
        let response = client.read_response().await;
        assert_eq!(response.status, 201);
        for gone in ["keep-alive", "x-secret"] {
            assert_eq!(response.header(gone), None);
        }
        let cookies = response.headers.iter().filter(|(n, _)| n == "set-cookie");
        assert_eq!(cookies.count(), 2);
        assert_eq!(response.text(), "text");
    });
}

#[test]
fn redirects_and_refusals_go_through() {
    within(async || {
        let upstream = RawServer::start(|conn| {
            while let Some(head) = conn.head() {
                conn.send(match head.path() {
                    "/moved" => redirect(302, "/elsewhere"),
                    "/ws" => "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n\
                              Connection: Upgrade\r\nContent-Length: 4\r\n\r\nwhat"
                        .to_owned(),
                    _ => ok("hello"),
                });
            }
        });
        let served = in_front_of(upstream.addr).await;
        let mut client = RawClient::connect(served.addr).await;
        let response = client.get("/moved").await;
        assert_eq!(response.status, 302);
        assert_eq!(response.header("location"), Some("/elsewhere"));
        assert_eq!(client.get("/page").await.text(), "hello");
        let mut client = RawClient::connect(served.addr).await;
        client
            .send_raw(Head::upgrade("/ws", client.host()).encode())
            .await;
        let response = client.read_response().await;
        assert_eq!((response.status, response.text()), (426, "what"));
        assert_eq!(response.header("upgrade"), Some("websocket"));
    });
}

#[test]
fn a_websocket_goes_through_with_its_protocol_and_without_its_origin() {
    within(async || {
        let upstream = RawServer::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.header("origin"), None);
            assert_eq!(head.header("sec-websocket-protocol"), Some("v2, v1"));
            assert_eq!(head.header("sec-websocket-extensions"), None);
            assert_ne!(head.header("sec-websocket-key"), Some(crate::raw::KEY));
            conn.send(head.switch("Sec-WebSocket-Protocol: v1\r\nX-Note: a\r\n"));
            conn.expect_text("hello");
            conn.say(Frame::text("hello yourself"));
            conn.expect_close(4003);
            conn.say(Frame::close(4004, "you too"));
        });
        let served = in_front_of(upstream.addr).await;
        let mut client = RawClient::connect(served.addr).await;
        let head = Head::upgrade("/ws", client.host())
            .with("Origin", "http://page.example")
            .with("Sec-WebSocket-Extensions", "permessage-deflate")
            .with("Sec-WebSocket-Protocol", "v2, v1");
        client.send_raw(head.encode()).await;
        let response = client.read_response().await;
        response.assert_upgraded();
        assert_eq!(response.header("sec-websocket-protocol"), Some("v1"));
        assert_eq!(response.header("x-note"), Some("a"));
        client.send(Frame::text("hello")).await;
        client.expect_text("hello yourself").await;
        client.send(Frame::close(4003, "")).await;
        client.expect_close(4004).await;
        client.expect_clean_eof().await;
    });
}

#[test]
fn a_server_that_is_not_there_is_a_response() {
    within(async || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = listener.local_addr().unwrap();
        drop(listener);
        let served = in_front_of(gone).await;
        let mut client = RawClient::connect(served.addr).await;
        client
            .send_raw(Head::upgrade("/ws", client.host()).encode())
            .await;
        let response = client.read_response().await;
        assert_eq!(response.status, 502);
        assert!(response.text().starts_with("cannot connect to http://"));
    });
}

/// Sends on what comes, changed by the path; what fails is the worker's failure.
#[worker]
#[derive(Clone)]
struct Changing {
    upstream: SocketAddr,
    client: Client,
}

impl Worker for Changing {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let url = format!("http://{}{}", self.upstream, req.uri());
        let path = req.path().to_owned();
        let mut sent = req.into_builder().url(url);
        match &*path {
            "/longer-up" => sent = sent.body(streamed(vec!["longer ", "than it was"])),
            "/named" => sent = sent.header("x-user", "ada"),
            _ => {}
        }
        let response = self.client.fetch(sent).await?;
        Ok(match &*path {
            "/longer-down" => response.with_body(streamed(vec!["longer ", "than it was"])),
            _ => response,
        })
    }
}

async fn changing(upstream: &RawServer) -> Served {
    let worker = Changing {
        upstream: upstream.addr,
        client: build(|c| c),
    };
    Served::start_with(worker, |server| {
        server.max_body(1000).handshake_timeout(SHORT)
    })
    .await
}

#[test]
fn a_length_beside_chunks_does_not_cut_them() {
    within(async || {
        // RFC 9112 §6.3: the chunks count, and the length goes.
        let upstream = RawServer::answering(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             8\r\nall of i\r\n1\r\nt\r\n0\r\n\r\n",
        );
        let served = changing(&upstream).await;
        let mut client = RawClient::connect(served.addr).await;
        let response = client.get("/").await;
        assert_eq!(response.header("content-length"), None);
        assert_eq!(response.text(), "all of it");
        assert_eq!(client.get("/").await.text(), "all of it");
    });
}

#[test]
fn a_body_that_takes_anothers_place_has_not_its_length() {
    within(async || {
        let upstream = RawServer::start(|conn| {
            while let Some(head) = conn.head() {
                if head.path() == "/longer-up" {
                    assert_eq!(head.header("content-length"), None);
                    let body = String::from_utf8(conn.until(b"0\r\n\r\n")).unwrap();
                    assert!(body.contains("than it was"), "{body}");
                }
                conn.send(ok("short"));
            }
        });
        let served = changing(&upstream).await;
        let mut client = RawClient::connect(served.addr).await;
        let response = client.get("/longer-down").await;
        assert_eq!(response.text(), "longer than it was");
        assert_eq!(client.post("/longer-up", "short").await.text(), "short");
    });
}

#[test]
fn what_is_wrong_with_a_clients_body_is_the_clients_to_hear() {
    within(async || {
        let upstream = RawServer::start(|conn| {
            conn.head();
            conn.until_left();
        });
        let served = changing(&upstream).await;
        let head = |client: &RawClient| {
            let head = Head::post("/", client.host());
            head.with("Transfer-Encoding", "chunked").encode()
        };
        let large = format!("fa0\r\n{}\r\n0\r\n\r\n", "x".repeat(4000));
        for (body, status) in [(&*large, 413), ("4\r\nte", 408), ("what\r\n", 400)] {
            let mut client = RawClient::connect(served.addr).await;
            let head = head(&client);
            client.send_raw([&head, body.as_bytes()].concat()).await;
            let response = client.read_response().await;
            assert_eq!(response.status, status, "{}", response.text());
            client.expect_eof().await;
        }
    });
}

#[test]
fn what_is_wrong_with_a_clients_upgrade_is_the_clients_to_hear() {
    within(async || {
        let upstream = RawServer::start(|conn| conn.until_left());
        let served = changing(&upstream).await;
        let valid = Head::upgrade("/", &served.addr.to_string());
        for (head, status) in [
            (valid.clone().line("POST / HTTP/1.1"), 405),
            (valid.clone().with("Content-Length", "3"), 400),
            (valid.clone().with("Sec-WebSocket-Protocol", "a, a"), 400),
        ] {
            let mut client = RawClient::connect(served.addr).await;
            client.send_raw(head.encode()).await;
            let response = client.read_response().await;
            assert_eq!(response.status, status, "{}", response.text());
            if status == 405 {
                assert_eq!(response.header("allow"), Some("GET"));
            }
        }
        assert_eq!(upstream.accepted(), 0);
    });
}

#[test]
fn a_client_cannot_take_out_what_the_worker_adds() {
    within(async || {
        // RFC 9110 §7.6.1: `Connection` names headers of the message that it came in.
        let upstream = RawServer::start(|conn| {
            while let Some(head) = conn.head() {
                assert_eq!(head.header("x-user"), Some("ada"));
                assert_eq!(head.header("x-other"), None);
                conn.send(match head.header("upgrade") {
                    Some(_) => head.switch(""),
                    None => ok("hello ada"),
                });
            }
        });
        let served = changing(&upstream).await;
        let mut client = RawClient::connect(served.addr).await;
        let named = |head: Head, connection: &str| {
            let head = head.without("Connection").with("Connection", connection);
            head.with("X-User", "eve").with("X-Other", "1").encode()
        };
        let head = Head::get("/named", client.host());
        client.send_raw(named(head, "x-other, X-User")).await;
        assert_eq!(client.read_response().await.text(), "hello ada");
        let head = Head::upgrade("/named", client.host());
        client
            .send_raw(named(head, "Upgrade, x-user, x-other"))
            .await;
        client.read_response().await.assert_upgraded();
    });
}
