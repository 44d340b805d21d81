//! The peer: an echo on yawc and hyper, one thread, as yawc's own example `echo_server`.
//! Not tuned beyond limits that suit the loads. The port comes from `PORT`.

#![allow(clippy::print_stdout, reason = "says when it is ready")]

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use yawc::{OpCode, Options, UpgradeFut, WebSocket};

const MAX_MESSAGE: usize = 32 * 1024 * 1024;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve())
}

async fn serve() -> Result<()> {
    let port = std::env::var("PORT").context("PORT is not set")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("ready on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(accept))
                .with_upgrades();
            // A client that goes away is no event for an echo.
            let _ = connection.await;
        });
    }
}

async fn accept(mut request: Request<Incoming>) -> yawc::Result<Response<Empty<Bytes>>> {
    // Its limit is the first size that is too large; twice that to read into, as by default.
    let options = Options::default()
        .with_limits(MAX_MESSAGE + 1, 2 * MAX_MESSAGE)
        // Text is checked, as with the others.
        .with_utf8()
        .without_compression();
    let (response, upgraded) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = echo(upgraded).await;
    }));
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> yawc::Result<()> {
    let mut ws = upgraded.await?;
    while let Some(frame) = ws.next().await {
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
            ws.send(frame).await?;
        }
    }
    Ok(())
}
