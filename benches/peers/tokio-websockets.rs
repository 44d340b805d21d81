//! The peer: an echo on tokio-websockets, one thread, as its own example `echo_server`.
//! Not tuned beyond limits that suit the loads. The port comes from `PORT`.

#![allow(clippy::print_stdout, reason = "says when it is ready")]

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_websockets::{Config, Error, Limits, ServerBuilder};

const MAX_MESSAGE: usize = 32 * 1024 * 1024;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
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
        tokio::spawn(tokio::task::unconstrained(async move {
            // A client that goes away is no event for an echo.
            let _ = echo(stream).await;
        }));
    }
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    let (_request, mut ws) = ServerBuilder::new()
        // A message is one frame, as with the others.
        .config(Config::default().frame_size(usize::MAX))
        .limits(Limits::default().max_payload_len(Some(MAX_MESSAGE)))
        .accept(stream)
        .await?;
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}
