//! Plain requests: sent over a pool's connections, redirects followed.
//! Does not open WebSockets: `upgrade` does.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Method, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use tokio::time::{Instant, sleep_until};

use super::body::{Outgoing, Progress, Timely, after, too_many_interim};
use super::connect::{Failure, chain};
use super::pool::Http;
use super::redirect::{Hop, Redirect};
use super::target::Target;
use super::{Inner, headers};
use crate::error::{Error, Fault, Result};
use crate::http::{Body, ReadBody as _, Response};

/// Sends the request, follows redirects as the client is set to.
pub(super) async fn fetch(
    client: &Inner,
    mut target: Target,
    request: http::Request<Body>,
) -> Result<Response> {
    let settings = &client.settings;
    let (mut parts, mut body) = request.into_parts();
    if parts.method == Method::CONNECT {
        return Err(Error::invalid("fetch cannot open a tunnel with CONNECT"));
    }
    headers::outgoing(&mut parts.headers, &body, settings);
    let http = client.pools.here();
    let limit = match settings.redirect {
        Redirect::Follow(limit) => limit,
        Redirect::Manual => 0,
    };
    for followed in 0.. {
        super::check_tls(&target)?;
        // Kept only if it may have to be sent again; bytes are shared, a stream is gone.
        let again = if followed < limit { body.again() } else { None };
        let mut request = http::Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = target.uri().clone();
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = parts.headers.clone();
        let response = send(client, &http, &target, request).await?;
        if settings.redirect == Redirect::Manual {
            return Ok(finish(client, target, response));
        }
        let hop = Hop::of(
            &target,
            &parts.method,
            response.status(),
            response.headers(),
        )?;
        let Some(hop) = hop else {
            return Ok(finish(client, target, response));
        };
        let fail = |what: String| {
            let status = response.status().as_u16();
            let message = format!("{target} redirects with {status}: {what}");
            Err(Error::fetch(Fault::Other, message))
        };
        if followed == limit {
            return fail(format!(
                "that is one more than the {limit} that are followed"
            ));
        }
        body = match (hop.keeps_body, again) {
            (false, _) => Body::empty(),
            (true, Some(body)) => body,
            (true, None) => {
                return fail("the body is a stream and cannot be sent again".to_owned());
            }
        };
        hop.strip(&target, &mut parts.headers);
        parts.method = hop.method;
        target = hop.target;
    }
    unreachable!("the loop ends at the limit")
}

/// Sends one request and waits for the response's head.
async fn send(
    client: &Inner,
    http: &Http,
    target: &Target,
    request: http::Request<Body>,
) -> Result<http::Response<Incoming>> {
    let progress = Arc::new(Progress::default());
    let mut request = request.map(|body| Outgoing::new(body, progress.clone()));
    progress.watch(&mut request);
    let connect_timeout = client.settings.connect_timeout;
    let limit = client.settings.response_timeout;
    // Connecting has limits of its own; these are two, of TCP and TLS.
    let begin = after(after(Instant::now(), connect_timeout), connect_timeout);
    let deadline = || after(progress.last().unwrap_or(begin), limit);
    let mut response = pin!(http.request(request));
    let mut begun = pin!(progress.begun.notified());
    let mut flooded = pin!(progress.flooded.notified());
    let mut is_begun = false;
    let mut sleep = pin!(sleep_until(deadline()));
    let response = poll_fn(|cx| {
        loop {
            if let Poll::Ready(response) = response.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            if flooded.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(too_many_interim(target)));
            }
            is_begun = is_begun || begun.as_mut().poll(cx).is_ready();
            sleep.as_mut().reset(deadline());
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if deadline() <= Instant::now() {
                return Poll::Ready(Err(too_slow(target, limit)));
            }
        }
    })
    .await;
    let response = response?.map_err(|error| {
        let fault = progress.take_fault();
        fault.unwrap_or_else(|| failed(target, &error))
    })?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let message = format!("{target} answers 101 to a request for no upgrade");
        return Err(Error::fetch(Fault::Other, message));
    }
    Ok(response)
}

/// A response as the caller gets it.
pub(super) fn finish<B>(client: &Inner, from: Target, response: http::Response<B>) -> Response
where
    B: http_body::Body<Data = bytes::Bytes, Error: std::error::Error + 'static> + Send + 'static,
{
    let settings = &client.settings;
    let (mut parts, body) = response.into_parts();
    headers::incoming(&mut parts.headers);
    // hyper's own, which hold on to a connection's parts.
    parts.extensions.clear();
    let mut body = Body::of_response(Timely::new(body, from, settings.body_timeout));
    body.max_body(settings.max_body);
    Response::from_http(http::Response::from_parts(parts, body))
}

fn failed(target: &Target, error: &legacy::Error) -> Error {
    if let Some(failure) = Failure::cause_of(error) {
        return failure.at(target);
    }
    // Its own text says no more than which call of hyper's it was.
    let error: &(dyn std::error::Error + 'static) = error;
    let cause = error.source().unwrap_or(error);
    no_response(target, cause)
}

/// What hyper says when there is no response.
pub(super) fn no_response(target: &Target, error: &(dyn std::error::Error + 'static)) -> Error {
    let error = chain(error);
    Error::fetch(Fault::Other, format!("no response from {target}: {error}"))
}

fn too_slow(target: &Target, limit: Duration) -> Error {
    let message = format!("no response from {target} within {limit:?} (response_timeout)");
    Error::fetch(Fault::Timeout, message)
}
