//! The peer: a plain echo on fastwebsockets and hyper, one thread, as fastwebsockets' own example.
//! Not tuned: no cork, no shared buffer. The port comes from `PORT`.

#![allow(clippy::print_stdout, reason = "says when it is ready")]

use std::convert::Infallible;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use fastwebsockets::upgrade::{self, UpgradeFut};
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

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
        // Without it the second of several replies waits for the client's delayed acknowledgement.
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

async fn accept(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let Ok((response, upgraded)) = upgrade::upgrade(&mut request) else {
        let mut refusal = Response::new(Empty::new());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(refusal);
    };
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = echo(upgraded).await;
    }));
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = upgraded.await?;
    ws.set_max_message_size(MAX_MESSAGE);
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}
