//! HTTP/2, which a server chooses by ALPN.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use wsworker::{Body, Error, ReadBody, Request, Result};

use super::{Authority, HELLO, answering, url};
use crate::raw::DEADLINE;
use crate::server::within;

/// Echoes requests' bodies over HTTP/2; counts connections.
async fn serve(authority: &Authority) -> (SocketAddr, Arc<AtomicUsize>) {
    let acceptor = TlsAcceptor::from(authority.config("localhost", &["h2", "http/1.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let tls = acceptor.accept(tcp).await.unwrap();
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            tokio::spawn(connection(h2::server::handshake(tls).await.unwrap()));
        }
    });
    (addr, accepted)
}

async fn connection<T>(mut connection: h2::server::Connection<T, Bytes>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let (parts, mut body) = request.into_parts();
            assert_eq!(parts.uri.path(), "/x");
            // RFC 9113 §8.2.2.
            for name in ["connection", "upgrade", "transfer-encoding", "host"] {
                assert!(!parts.headers.contains_key(name), "{name}");
            }
            let mut bytes = Vec::new();
            while let Some(chunk) = body.data().await {
                // A client may break off what it sends.
                let Ok(chunk) = chunk else { return };
                let _ = body.flow_control().release_capacity(chunk.len());
                bytes.extend_from_slice(&chunk);
            }
            let mut send = respond
                .send_response(http::Response::new(()), false)
                .unwrap();
            send.send_data(bytes.into(), true).unwrap();
        });
    }
}

#[test]
fn plain_requests_share_one_connection() {
    within(async || {
        let authority = Authority::new();
        let (addr, accepted) = serve(&authority).await;
        let client = authority.client();
        let post = |text: String| {
            let client = client.clone();
            async move {
                let request = Request::post(format!("https://localhost:{}/x", addr.port()));
                let request = request.header("connection", "close").body(text);
                let mut response = client.fetch(request).await.unwrap();
                response.text().await.unwrap()
            }
        };
        assert_eq!(post("first".to_owned()).await, "first");
        let many = (0..20).map(|n| tokio::spawn(post(n.to_string())));
        for (n, one) in many.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(one.await.unwrap(), n.to_string());
        }
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_dropped_call_does_not_end_the_others() {
    within(async || {
        let authority = Authority::new();
        let (addr, accepted) = serve(&authority).await;
        let client = authority.client();
        let at = format!("https://localhost:{}/x", addr.port());
        client.fetch(&at).await.unwrap();
        {
            let mut dropped = Box::pin(client.fetch(Request::post(&at).body("x")));
            tokio::select! {
                biased;
                _ = &mut dropped => panic!("it is there at once"),
                () = std::future::ready(()) => {}
            }
        }
        let mut response = client.fetch(Request::post(&at).body("y")).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "y");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn responses_that_nobody_reads_hold_up_no_other() {
    within(async || {
        const LARGE: usize = 3 << 20;
        let authority = Authority::new();
        let (addr, accepted) = serve(&authority).await;
        let client = authority.client();
        let post = |bytes: usize| {
            let request = Request::post(format!("https://localhost:{}/x", addr.port()));
            client.fetch(request.body(vec![b'x'; bytes]))
        };
        // What they may send would fill a window that they shared with all.
        let mut unread = Vec::new();
        for _ in 0..6 {
            unread.push(post(LARGE).await.unwrap());
        }
        let mut response = post(LARGE).await.unwrap();
        let read = timeout(DEADLINE, response.bytes()).await;
        assert_eq!(read.expect("it is held up").unwrap().len(), LARGE);
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
        for mut response in unread {
            assert_eq!(response.bytes().await.unwrap().len(), LARGE);
        }
    });
}

#[test]
fn a_server_that_prefers_http_1_gets_it() {
    within(async || {
        let authority = Authority::new();
        let server = authority.serve("localhost", answering(HELLO));
        let at = url("https", "localhost", &server);
        let mut response = authority.client().fetch(at).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
    });
}

#[test]
fn what_breaks_the_body_is_the_error_and_ends_no_other_request() {
    within(async || {
        let authority = Authority::new();
        let (addr, accepted) = serve(&authority).await;
        let client = authority.client();
        let at = format!("https://localhost:{}/x", addr.port());
        let broken = Body::stream(Breaking(false));
        let Err(error) = client.fetch(Request::post(&at).body(broken)).await else {
            panic!("wanted an error");
        };
        assert_eq!(error.to_string(), "as told");
        let mut response = client.fetch(Request::post(&at).body("y")).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "y");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    });
}

/// A part, and then an error.
struct Breaking(bool);

impl Stream for Breaking {
    type Item = Result<&'static str>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let broke = std::mem::replace(&mut self.0, true);
        Poll::Ready(Some(match broke {
            false => Ok("part"),
            true => Err(Error::new("as told")),
        }))
    }
}
