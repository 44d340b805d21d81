//! The peer: a room on axum's WebSockets and tokio's broadcast channel, one thread, as axum's own
//! example `chat`: each member has a task that receives and one that sends.
//! Not tuned beyond limits that suit the loads. The port comes from `PORT`.

#![allow(clippy::print_stdout, reason = "says when it is ready")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use axum::serve::ListenerExt;
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender};

const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// More than the loads have in flight: a member that falls behind would lose messages.
const CAPACITY: usize = 1024;

/// The one room.
struct Room {
    /// Each message with the member that it is from.
    messages: Sender<(u64, Message)>,
    /// The next member's number.
    next: AtomicU64,
}

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
    let room = Arc::new(Room {
        messages: broadcast::channel(CAPACITY).0,
        next: AtomicU64::new(0),
    });
    let router = Router::new().route("/", any(accept)).with_state(room);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn accept(upgrade: WebSocketUpgrade, State(room): State<Arc<Room>>) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(move |socket| member(socket, room))
}

async fn member(socket: WebSocket, room: Arc<Room>) {
    let number = room.next.fetch_add(1, Ordering::Relaxed);
    let (sink, mut stream) = socket.split();
    let sending = tokio::spawn(send(sink, room.messages.subscribe(), number));
    while let Some(Ok(message)) = stream.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            // There is a receiver: this member's own.
            let _ = room.messages.send((number, message));
        }
    }
    sending.abort();
}

/// Sends on what the others have sent, until one of the two ends is gone or has fallen behind.
async fn send(
    mut sink: SplitSink<WebSocket, Message>,
    mut messages: Receiver<(u64, Message)>,
    number: u64,
) {
    while let Ok((from, message)) = messages.recv().await {
        if from != number && sink.send(message).await.is_err() {
            return;
        }
    }
}
