//! The other examples as processes: the guide and the proxy.
//! Does not repeat what tests within this process show of fetch and relays.

use super::{Echo, example};
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

fn proxy(upstream: &str) -> Program {
    Program::start(example("proxy"), &[("UPSTREAM", upstream)])
}

#[test]
fn the_guide_serves_its_page_and_its_socket_and_is_a_client() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let server = format!("ws://{}/", echo.addr());
        let mut guide = Program::start(example("guide"), &[("SERVER", &server)]);
        let addr = guide.addr();
        let mut plain = RawClient::connect(addr).await;
        assert!(plain.get("/").await.text().contains("new WebSocket("));
        assert_eq!(plain.get("/ws").await.status, 426);
        let answer = plain.get("/client").await;
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        let mut client = RawClient::open_at(addr, "/ws").await;
        client.send(Frame::text("MESSAGE")).await;
        client.expect_text("MESSAGE").await;
        client.close().await;
        guide.says("MESSAGE");
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
