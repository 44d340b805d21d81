//! WebSockets over TLS.

use std::net::TcpStream;
use std::sync::mpsc;

use tokio_rustls::rustls::{ServerConnection, StreamOwned};
use wsworker::Request;

use super::raw_server::{Io, RawServer};
use super::{Authority, url};
use crate::server::within;

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
