//! The peer: an echo on actix-ws, one worker, as in its documentation.
//! Not tuned beyond limits that suit the loads. The port comes from `PORT`.

#![allow(clippy::print_stdout, reason = "says when it is ready")]

use std::net::Ipv4Addr;

use actix_web::web::Payload;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, Closed, Session};
use anyhow::{Context, Result};

const MAX_MESSAGE: usize = 32 * 1024 * 1024;

#[actix_web::main]
async fn main() -> Result<()> {
    let port: u16 = std::env::var("PORT").context("PORT is not set")?.parse()?;
    let server = HttpServer::new(|| App::new().route("/", web::get().to(accept)))
        .workers(1)
        .tcp_nodelay(true)
        .bind((Ipv4Addr::LOCALHOST, port))?;
    println!("ready on {:?}", server.addrs());
    server.run().await?;
    Ok(())
}

async fn accept(request: HttpRequest, body: Payload) -> actix_web::Result<HttpResponse> {
    let (response, session, stream) = actix_ws::handle(&request, body)?;
    let stream = stream
        .max_frame_size(MAX_MESSAGE)
        .aggregate_continuations()
        .max_continuation_size(MAX_MESSAGE);
    actix_web::rt::spawn(async move {
        // A client that goes away is no event for an echo.
        let _ = echo(session, stream).await;
    });
    Ok(response)
}

async fn echo(mut session: Session, mut stream: AggregatedMessageStream) -> Result<(), Closed> {
    while let Some(Ok(message)) = stream.recv().await {
        match message {
            AggregatedMessage::Text(text) => session.text(text).await?,
            AggregatedMessage::Binary(bytes) => session.binary(bytes).await?,
            AggregatedMessage::Ping(bytes) => session.pong(&bytes).await?,
            AggregatedMessage::Pong(_) => {}
            AggregatedMessage::Close(reason) => return session.close(reason).await,
        }
    }
    session.close(None).await
}
