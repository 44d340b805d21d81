//! WebSockets: one request over a connection of its own, and the stream after a checked 101.
//! Does not follow redirects, and knows no frames.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::body::{Progress, too_many_interim};
use super::connect::Speak;
use super::pool::MAX_HEAD;
use super::target::Target;
use super::{Inner, headers, plain};
use crate::connection::Stream;
use crate::error::{Error, Fault, Result};
use crate::http::{Body, Head, Response};
use crate::protocol::handshake::{self, Asked, mistake};
use crate::socket::{Fetched, WebSocketEnd};

type Connection = http1::Connection<TokioIo<Stream>, Body>;

/// Asks for a WebSocket. A response that is no 101 is given as it is.
pub(super) async fn open(
    client: &Inner,
    target: &Target,
    request: http::Request<Body>,
) -> Result<Response> {
    super::check_tls(target)?;
    let (request, asked) = prepare(client, target, request)?;
    let head = Arc::new(Head::sent(&request, target.is_secure()));
    let stream = client.connector.connect(target.uri(), Speak::Http1).await;
    let stream = stream.map_err(|failure| failure.at(target))?;
    let limit = client.settings.handshake_timeout;
    let answered = timeout(limit, ask(target, stream, request));
    let (mut connection, response) = answered.await.unwrap_or_else(|_| {
        let message = format!("no answer from {target} within {limit:?} (handshake_timeout)");
        Err(Error::fetch(Fault::Timeout, message))
    })?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let response = response.map(|body| Driven {
            connection: Some(connection),
            body,
        });
        return Ok(plain::finish(client, target.clone(), response));
    }
    let protocol = asked.check(response.version(), response.headers())?;
    // Over at once: with the 101, hyper has no more to do.
    poll_fn(|cx| connection.poll_without_shutdown(cx))
        .await
        .map_err(|error| plain::no_response(target, &error))?;
    let parts = connection.into_parts();
    // A copy of the exact size: even empty, hyper's buffer keeps 8 KiB alive.
    let read = parts.read_buf.to_vec();
    let stream = parts.io.into_inner();
    let end = WebSocketEnd::fetched(Fetched {
        remote_addr: stream.peer_addr(),
        stream,
        read,
        protocol,
        request: head,
        limits: client.settings.limits,
    });
    let response = plain::finish(client, target.clone(), response);
    Ok(response.with_websocket(end))
}

/// The request as it goes out.
fn prepare(
    client: &Inner,
    target: &Target,
    request: http::Request<Body>,
) -> Result<(http::Request<Body>, Asked)> {
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    handshake::check_method(&parts.method).map_err(|e| mistake(&headers, e))?;
    if !body.is_end_stream() {
        let message = "a request for a WebSocket must have no body";
        let rejection = Error::rejected(StatusCode::BAD_REQUEST, message);
        return Err(mistake(&headers, rejection));
    }
    headers::outgoing_upgrade(&mut headers, target, &client.settings);
    let asked = Asked::with_headers(&mut headers)?;
    let mut request = http::Request::new(Body::empty());
    *request.uri_mut() = target.origin_form();
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = headers;
    Ok((request, asked))
}

/// Sends the request and drives the connection until the response's head is there.
/// All in the caller's future: dropped, it leaves no task and no socket.
async fn ask(
    target: &Target,
    stream: Stream,
    mut request: http::Request<Body>,
) -> Result<(Connection, http::Response<Incoming>)> {
    let progress = Arc::<Progress>::default();
    progress.watch(&mut request);
    let mut http = http1::Builder::new();
    http.max_buf_size(MAX_HEAD).max_header_size(MAX_HEAD);
    let failed = |error: hyper::Error| plain::no_response(target, &error);
    let opened = http.handshake(TokioIo::new(stream)).await;
    let (mut sender, mut connection) = opened.map_err(failed)?;
    let response = {
        let mut response = pin!(sender.send_request(request));
        let mut flooded = pin!(progress.flooded.notified());
        let mut is_over = false;
        poll_fn(|cx| {
            // The connection hands over the response, or why there is none.
            let driven = match is_over {
                true => Poll::Pending,
                false => connection.poll_without_shutdown(cx),
            };
            is_over = is_over || driven.is_ready();
            match (response.as_mut().poll(cx), driven) {
                (Poll::Ready(response), _) => Poll::Ready(response.map_err(failed)),
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(failed(error))),
                (Poll::Pending, _) => flooded
                    .as_mut()
                    .poll(cx)
                    .map(|()| Err(too_many_interim(target))),
            }
        })
        .await
    };
    Ok((connection, response?))
}

/// A body with the connection that it comes over, which nobody else drives.
struct Driven {
    /// Until it is over.
    connection: Option<Connection>,
    body: Incoming,
}

impl HttpBody for Driven {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        // What goes wrong is told to the body.
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.connection = None;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
