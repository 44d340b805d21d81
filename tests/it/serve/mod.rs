//! Listening, limits on connections, proxies, and shutting down.
//! Does not treat the process around it: that is `process`.

mod addresses;
mod arrivals;
mod limits;
mod many;
mod proxies;
mod runtimes;
mod shutdown;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::sleep;
use wsworker::prelude::*;
use wsworker::{Address, Listening};

use crate::raw::{Frame, RawClient};

/// Echoes; a request for a page is answered with the address that it came from.
#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        match req.path() {
            "/who" => Ok(Response::text(format!("{:?}", ip(req.remote_addr())))),
            "/slow" => {
                sleep(Duration::from_millis(300)).await;
                Ok(Response::text("at last"))
            }
            _ => Ok(req.upgrade()?.accept()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        if message.as_text() == Some("who?") {
            return ws.send(format!("{:?}", ip(ws.remote_addr())));
        }
        ws.send(message)
    }
}

fn ip(addr: Option<SocketAddr>) -> Option<IpAddr> {
    addr.map(|addr| addr.ip())
}

async fn echoes(client: &mut RawClient) {
    client.send(Frame::text("hello")).await;
    client.expect_text("hello").await;
}

/// The error of a server that cannot listen.
async fn refuses(server: Server) -> String {
    match server.listen().await {
        Ok(listening) => panic!("it listens on {:?}", listening.local_addrs()),
        Err(error) => error.to_string(),
    }
}

fn tcp(listening: &Listening, i: usize) -> SocketAddr {
    match &listening.local_addrs()[i] {
        Address::Tcp(addr) => *addr,
        other => panic!("{other} is no TCP address"),
    }
}
