//! The short way to a 101: for a request for a WebSocket that comes whole in one read, and
//! that the worker answers without waiting.
//! Does not answer anything else: hyper gets what was read, and what the worker has begun,
//! as if nobody had looked. It spares a handshake hyper's connection and three buffers of
//! 8 KiB: a seventh of its instructions in user space.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::answer::Answering;
use super::conn::{Clock, Conn, End, begin};
use super::thread::Phase;
use crate::connection::Stream;
use crate::http::Body;

/// What came of a connection's first bytes.
pub(super) enum First {
    /// It is over; what was read past the request.
    Ended(End, Bytes),
    /// For hyper: what was read, and the answer to the request in it, if that has begun.
    Http(Bytes, Option<Answering>),
}

/// Reads once, and answers if that can be done at once.
pub(super) async fn first(conn: &Arc<Conn>, stream: &mut Stream, clock: Pin<&mut Clock>) -> First {
    let read = match read(conn, stream, clock).await {
        Read::Bytes(read) => read,
        Read::Ended(end) => return First::Ended(end, Bytes::new()),
    };
    let Some((request, length)) = upgrade(&read, conn.thread.site.max_header_size) else {
        return First::Http(read, None);
    };
    let mut answering = begin(conn, request, Body::empty());
    let answered = poll_fn(|cx| Poll::Ready(answering.as_mut().poll(cx))).await;
    let Poll::Ready(response) = answered else {
        return First::Http(read, Some(answering));
    };
    let opening = match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => conn.opening(),
        _ => None,
    };
    let Some(opening) = opening else {
        return First::Http(read, Some(Box::pin(std::future::ready(response))));
    };
    let head = head(response.headers());
    let written = timeout(conn.thread.site.handshake_timeout, write(stream, &head));
    match written.await {
        Ok(Ok(())) => First::Ended(End::Opened(opening), read.slice(length..)),
        _ => First::Ended(End::Gone, Bytes::new()),
    }
}

enum Read {
    Bytes(Bytes),
    Ended(End),
}

/// What one read gives; nothing if the server begins to drain before.
async fn read(conn: &Arc<Conn>, stream: &mut Stream, mut clock: Pin<&mut Clock>) -> Read {
    let thread = &conn.thread;
    let mut turned = std::pin::pin!(thread.turned.notified());
    poll_fn(|cx| {
        if let Poll::Ready(read) = poll_read(stream, cx) {
            return Poll::Ready(match read {
                Ok(read) => Read::Bytes(read),
                Err(_) => Read::Ended(End::Gone),
            });
        }
        // Looked at before the first wait for a turn too: a connection may come just as
        // the server begins to drain.
        if thread.phase() != Phase::Serving || turned.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Read::Bytes(Bytes::new()));
        }
        clock.as_mut().poll(conn, cx).map(Read::Ended)
    })
    .await
}

/// One that waits holds no buffer.
fn poll_read(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>> {
    let mut space = [MaybeUninit::uninit(); READ];
    let mut buffer = ReadBuf::uninit(&mut space);
    let polled = Pin::new(stream).poll_read(cx, &mut buffer);
    polled.map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
}

/// The request for a WebSocket that these bytes begin with, and its length. `None` if it is
/// another, is not complete, or has anything that hyper is to judge.
fn upgrade(read: &Bytes, max: usize) -> Option<(Parts, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(read) {
        Ok(httparse::Status::Complete(length)) if length <= max => length,
        _ => return None,
    };
    if (parsed.method, parsed.version) != (Some("GET"), Some(1)) {
        return None;
    }
    let target = read.slice_ref(parsed.path?.as_bytes());
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_maybe_shared(target).ok()?;
    let headers = request.headers_mut();
    headers.reserve(parsed.headers.len());
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_maybe_shared(read.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    // Whether it is a good one is for whoever answers.
    let body = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT];
    if body.iter().any(|name| headers.contains_key(name)) || !headers.contains_key(UPGRADE) {
        return None;
    }
    Some((request.into_parts().0, length))
}

fn head(headers: &HeaderMap) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

async fn write(stream: &mut Stream, head: &[u8]) -> std::io::Result<()> {
    stream.write_all(head).await?;
    stream.flush().await
}

/// Bytes of the first read. A request for a WebSocket has some hundred.
const READ: usize = 4 << 10;
/// Headers of a request; browsers send about 15.
const FIELDS: usize = 32;
