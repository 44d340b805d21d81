//! The start of a TLS connection: its first byte, then the handshake.
//! Does not know HTTP, but to tell a peer that speaks it in the clear.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use crate::connection::{Stream, TlsStream};
use crate::server::conn;
use crate::server::thread::{Phase, Thread};

/// Does the handshake where there is to be one, and gives the stream to go on
/// with; the deadline that the handshake had goes for the first request too.
/// `None`: the connection has ended.
pub(in crate::server) async fn open(
    thread: &Thread,
    mut stream: Stream,
) -> Option<(Stream, Option<Instant>)> {
    if thread.site.is_secure() {
        stream.watch().ok()?;
    }
    match (&thread.site.tls, stream) {
        (Some(shared), Stream::Tcp(stream)) => {
            let deadline = conn::deadline(thread.site.handshake_timeout);
            let stream = secure(thread, shared, stream, deadline).await?;
            Some((stream, Some(deadline)))
        }
        (_, stream) => Some((stream, None)),
    }
}

async fn secure(
    thread: &Thread,
    shared: &Shared,
    stream: TcpStream,
    deadline: Instant,
) -> Option<Stream> {
    // Boxed, as it would make every connection's task larger.
    let handshake = Box::pin(handshake(shared, stream));
    let outcome = unless_draining(thread, timeout_at(deadline, handshake)).await?;
    match outcome {
        Ok(Outcome::Secure(stream)) => return Some(Stream::Tls(stream)),
        Ok(Outcome::Plain(stream)) => conn::refuse(Stream::Tcp(stream), PLAIN).await,
        Ok(Outcome::Failed(error, stream)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            // The alert that says why is on its way.
            conn::refuse(Stream::Tcp(stream), &[]).await;
        }
        // Gone, or too late. Before the handshake is done there is nothing that a
        // peer could be told.
        Ok(Outcome::Gone) | Err(_) => {}
    }
    None
}

/// How the start of a connection came out.
enum Outcome {
    Secure(Box<TlsStream>),
    /// The peer speaks something, and not TLS.
    Plain(TcpStream),
    Failed(io::Error, TcpStream),
    Gone,
}

async fn handshake(shared: &Shared, stream: TcpStream) -> Outcome {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1..) if first[0] == HANDSHAKE => {}
        Ok(1..) => return Outcome::Plain(stream),
        Ok(0) | Err(_) => return Outcome::Gone,
    }
    match shared.acceptor.accept(stream).into_fallible().await {
        Ok(stream) => Outcome::Secure(Box::new(TlsStream::new(stream))),
        Err((error, stream)) => Outcome::Failed(error, stream),
    }
}

/// `None` once the server drains: whoever has not begun a request begins none.
async fn unless_draining<F: Future>(thread: &Thread, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut turned = pin!(thread.turned.notified());
    poll_fn(|cx| {
        while thread.phase() == Phase::Serving {
            if turned.as_mut().poll(cx).is_pending() {
                return future.as_mut().poll(cx).map(Some);
            }
            turned.set(thread.turned.notified());
        }
        Poll::Ready(None)
    })
    .await
}

/// What the first record of a connection is (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    connection: close\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 57\r\n\r\n\
    this port speaks TLS: ask for it with https:// or wss://\n";
