//! TLS of the server, judged by rustls as a client with frames written by hand.
//! Does not treat what is the same without TLS: `tests/it` does.

mod bodies;
mod certificates;
pub mod client;
mod closing;
mod messages;
mod opening;
mod reload;

use client::Client;
use wsworker::Tls;

use crate::server::Recorded;

/// A certificate for the servers under test.
fn certificate() -> Tls {
    Tls::self_signed(["localhost", "127.0.0.1"]).unwrap()
}

/// A recorder behind TLS, and a client that trusts it.
async fn start() -> (Recorded, Client) {
    start_with(|server| server).await
}

async fn start_with(
    configure: impl FnOnce(wsworker::Server) -> wsworker::Server,
) -> (Recorded, Client) {
    let tls = certificate();
    let client = Client::trusting(&tls);
    let recorded = Recorded::start_with(|server| configure(server.tls(tls))).await;
    (recorded, client)
}
