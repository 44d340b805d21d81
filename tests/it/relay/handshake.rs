//! The 101 that joins a client with the server behind us, and what is none.

use wsworker::prelude::*;

use super::{Proxied, Upstream};
use crate::raw::{Frame, RawClient};
use crate::server::{Served, within};

#[test]
fn the_101_is_our_own_with_the_servers_other_headers() {
    within(async || {
        let proxied = Proxied::start().await;
        let mut client = RawClient::connect(proxied.proxy.addr).await;
        let host = client.host().to_owned();
        let offer = [
            ("Sec-WebSocket-Protocol", "v2, v1"),
            ("Sec-WebSocket-Extensions", "permessage-deflate"),
            ("Origin", &*format!("http://{host}")),
            ("Cookie", "a=b"),
        ];
        let (response, server) = tokio::join!(
            // Checks the accept key: it is that of the client's own.
            client.handshake_at("/chat?room=1", &offer),
            proxied.upstream.accept_with(
                "Sec-WebSocket-Protocol: v1\r\nSet-Cookie: c=1\r\nSet-Cookie: d=2\r\n\
                 Keep-Alive: timeout=5\r\nX-Note: kept\r\n",
                b"",
            ),
        );
        assert_eq!(response.header("sec-websocket-protocol"), Some("v1"));
        assert_eq!(response.header("sec-websocket-extensions"), None);
        assert_eq!(response.header("keep-alive"), None);
        assert_eq!(response.header("x-note"), Some("kept"));
        let cookies = response.headers.iter().filter(|(n, _)| n == "set-cookie");
        assert_eq!(cookies.count(), 2);
        assert_eq!(server.path(), "/chat?room=1");
        assert_eq!(server.header("cookie"), Some("a=b"));
        assert_eq!(server.header("sec-websocket-protocol"), Some("v2, v1"));
        assert_eq!(server.header("sec-websocket-extensions"), None);
        assert_eq!(server.header("origin"), None);
        assert_ne!(server.header("sec-websocket-key"), Some(crate::raw::KEY));
        assert_eq!(
            server.header("host"),
            Some(&*proxied.upstream.addr.to_string())
        );
    });
}

#[test]
fn a_protocol_that_the_server_did_not_choose_is_not_ours_to_choose() {
    within(async || {
        let upstream = Upstream::start().await;
        let proxied = Proxied::start_with(upstream, |s| s.protocols(["v1"])).await;
        let mut client = RawClient::connect(proxied.proxy.addr).await;
        let offer = [("Sec-WebSocket-Protocol", "v2, v1")];
        let (response, _server) = tokio::join!(client.handshake(&offer), proxied.upstream.accept());
        assert_eq!(response.header("sec-websocket-protocol"), None);
    });
}

#[test]
fn a_server_that_answers_otherwise_is_heard() {
    within(async || {
        let proxied = Proxied::start().await;
        let mut client = RawClient::connect(proxied.proxy.addr).await;
        let head = client.upgrade().encode();
        client.send_raw(head).await;
        let mut server = proxied.upstream.asked().await;
        server
            .send_raw("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno room")
            .await;
        let response = client.read_response().await;
        assert_eq!((response.status, response.text()), (404, "no room"));
    });
}

/// Opens a WebSocket to the server whatever it is asked.
#[worker]
#[derive(Clone)]
struct Always(String);

impl Worker for Always {
    async fn fetch(&mut self, _req: Request, _env: &Env) -> Result<Response> {
        wsworker::fetch(&*self.0).await
    }
}

#[test]
fn a_request_that_is_no_upgrade_is_refused_and_the_server_left() {
    within(async || {
        let upstream = Upstream::start().await;
        let proxy = Served::start(Always(upstream.url("/"))).await;
        for (change, status) in [
            (("Upgrade", "h2c"), 426),
            (("Sec-WebSocket-Version", "8"), 426),
            (("Sec-WebSocket-Key", "short"), 400),
        ] {
            let mut client = RawClient::connect(proxy.addr).await;
            let head = client.upgrade().replace(change.0, change.1);
            client.send_raw(head.encode()).await;
            let mut server = upstream.accept().await;
            assert_eq!(client.read_response().await.status, status);
            server.expect_close(1001).await;
            server.send(Frame::close(1001, "")).await;
            server.finish().await;
        }
    });
}

#[test]
fn a_client_that_does_not_wait_leaves_the_server_too() {
    within(async || {
        let proxied = Proxied::start().await;
        let mut client = RawClient::connect(proxied.proxy.addr).await;
        let head = client.upgrade().encode();
        client.send_raw(head).await;
        let mut server = proxied.upstream.asked().await;
        drop(client);
        server.expect_eof().await;
    });
}
