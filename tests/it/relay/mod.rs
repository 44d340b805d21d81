//! A server behind us: connections to it, and clients that are joined with it.
//! Does not treat the handshake with that server: `client` does.

mod closing;
mod ends;
mod handshake;
mod limits;
mod messages;
mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use wsworker::prelude::*;

use self::upstream::{Conn, Upstream};
use crate::raw::RawClient;
use crate::server::{Served, only, tasks};

const KIB: usize = 1024;

/// What a side has to answer a Close, unless a test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(4);

/// In front of one server: sends on whatever comes.
#[worker]
#[derive(Clone)]
struct Proxy {
    upstream: SocketAddr,
}

impl Worker for Proxy {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let url = format!("http://{}{}", self.upstream, req.uri());
        wsworker::fetch(req.into_builder().url(url)).await
    }
}

/// A proxy and the server behind it.
struct Proxied {
    proxy: Served,
    upstream: Upstream,
}

impl Proxied {
    async fn start() -> Proxied {
        Proxied::start_with(Upstream::start().await, |s| s).await
    }

    async fn start_with(upstream: Upstream, server: impl FnOnce(Server) -> Server) -> Proxied {
        let worker = Proxy {
            upstream: upstream.addr,
        };
        let server = |s: Server| server(s.close_timeout(PATIENCE));
        let proxy = Served::start_with(worker, server).await;
        // Its own tasks are there before a test counts.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        Proxied { proxy, upstream }
    }

    /// A client, joined with a connection to the server.
    async fn open(&self) -> (RawClient, Conn) {
        tokio::join!(RawClient::open(self.proxy.addr), self.upstream.accept())
    }

    async fn open_narrow(&self) -> (RawClient, Conn) {
        let mut client = RawClient::connect_narrow(self.proxy.addr).await;
        let (_, conn) = tokio::join!(client.handshake(&[]), self.upstream.accept());
        (client, conn)
    }
}
