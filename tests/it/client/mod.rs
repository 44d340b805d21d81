//! `fetch`, against servers written by hand that answer well or badly.

mod addresses;
mod failures;
mod handshake;
mod leaks;
mod misbehaving;
mod plain;
mod proxy;
pub mod raw_server;
mod redirects;
mod websocket;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use futures_core::Stream;
use wsworker::{Body, Client, ClientBuilder, Error, Request, Response, Result};

/// A limit so short that a test can wait for it.
pub const SHORT: Duration = Duration::from_millis(200);

/// A client whose times are short, and its own connections.
fn client() -> Client {
    build(|client| client)
}

fn build(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    configure(Client::builder()).build().unwrap()
}

/// Fetches, and wants an error.
async fn fails(client: &Client, request: impl Into<Request>) -> Error {
    match client.fetch(request).await {
        Ok(response) => panic!("wanted an error, got {response:?}"),
        Err(error) => error,
    }
}

/// Fetches, and wants an error of `fetch` with this text.
async fn fails_with(client: &Client, request: impl Into<Request>, text: &str) {
    let error = fails(client, request).await;
    assert!(error.is_fetch(), "{error}");
    assert_eq!(error.to_string(), text);
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// A body whose length nobody knows.
fn streamed<T: Into<Bytes> + Send + Unpin + 'static>(parts: Vec<T>) -> Body {
    let parts: Vec<_> = parts.into_iter().map(Ok).collect();
    Body::stream(Parts(parts.into_iter()))
}

/// A body that breaks off after its first part.
fn broken(why: &'static str) -> Body {
    Body::stream(Parts(vec![Ok("part"), Err(Error::new(why))].into_iter()))
}

struct Parts<T>(vec::IntoIter<Result<T>>);

impl<T: Unpin> Stream for Parts<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next())
    }
}
