//! The peer: an echo on axum's WebSockets (tokio-tungstenite inside), one thread, as in its documentation.
//! Not tuned beyond limits that suit the loads. The port comes from `PORT`.

#![allow(clippy::print_stdout, reason = "says when it is ready")]

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

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
    let listener = listener.tap_io(|stream| {
        // A connection without it is slower, and no wrong one.
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new().route("/", any(accept));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn accept(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if !matches!(message, Message::Text(_) | Message::Binary(_)) {
            continue;
        }
        if socket.send(message).await.is_err() {
            // A client that goes away is no event for an echo.
            return;
        }
    }
}
