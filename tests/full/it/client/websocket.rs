//! WebSockets over TLS.

use std::net::TcpStream;
use std::sync::mpsc;

use tokio_rustls::rustls::{ServerConnection, StreamOwned};
use wsworker::{Event, Request};

use super::raw_server::{Io, RawServer};
use super::{Authority, url};
use crate::raw::{Frame, encode_all};
use crate::server::{eventually, tasks, within};

#[test]
fn one_is_opened_over_http_1_whatever_the_server_prefers() {
    within(async || {
        let authority = Authority::new();
        let config = authority.config("localhost", &["h2", "http/1.1"]);
        let (agreed, seen) = mpsc::channel();
        let secure = move |mut stream: TcpStream| -> Box<dyn Io> {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            connection.complete_io(&mut stream).unwrap();
            let protocol = connection.alpn_protocol().map(<[u8]>::to_vec);
            agreed.send(protocol).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        };
        let server = RawServer::start_over(secure, |conn| {
            let head = conn.head().unwrap();
            conn.send(head.switch(""));
            conn.until_left();
        });
        let client = authority.client();
        for request in [
            Request::get(url("wss", "localhost", &server)),
            Request::get(url("https", "localhost", &server)).header("Upgrade", "websocket"),
        ] {
            let response = client.fetch(request).await.unwrap();
            assert_eq!(response.status(), 101);
            assert_eq!(seen.recv().unwrap().as_deref(), Some(&b"http/1.1"[..]));
        }
        assert_eq!(server.accepted(), 2);
    });
}

#[test]
fn messages_go_both_ways_those_that_come_with_the_101_too() {
    within(async || {
        let authority = Authority::new();
        let server = authority.serve("localhost", |conn| {
            let head = conn.head().unwrap();
            let mut answer = head.switch("").into_bytes();
            let frames = [Frame::text("one"), Frame::text("two")];
            answer.extend(encode_all(frames.map(Frame::unmasked)));
            conn.send(answer);
            conn.expect_text("hello");
            let large = conn.frame().unwrap();
            conn.say(Frame::binary(&large.payload));
            conn.say(Frame::close(4001, "bye"));
            conn.expect_close(4001);
        });
        let response = authority.client().fetch(url("wss", "localhost", &server));
        let mut events = response.await.unwrap().into_websocket().unwrap().accept();
        assert_eq!(events.remote_addr(), Some(server.addr));
        for wanted in ["one", "two"] {
            let Some(Event::Message(message)) = events.next().await else {
                panic!("wanted {wanted}");
            };
            assert_eq!(message.as_text(), Some(wanted));
        }
        events.send("hello").unwrap();
        events.send(vec![7; 500_000]).unwrap();
        let Some(Event::Message(message)) = events.next().await else {
            panic!("wanted what was sent");
        };
        assert_eq!(message.as_bytes(), vec![7; 500_000]);
        let Some(Event::Close(close)) = events.next().await else {
            panic!("wanted a close");
        };
        assert_eq!((close.code, close.was_clean), (4001, true));
        eventually("all tasks end", || tasks() == 0).await;
    });
}
