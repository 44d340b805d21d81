//! Where a server under test is found: in this process's memory, or at an address.
//! Does not accept for a server or speak anything: it gives the two streams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::pair::PIPE;
use super::stream::{Gate, Stream};

/// The one place that a client under test connects to, whatever host is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Who connects waits while the server has not accepted as many before.
    Memory(mpsc::Sender<DuplexStream>),
    Tcp(SocketAddr),
}

/// The server's side of a place in memory.
pub(crate) struct MemoryListener {
    waiting: mpsc::Receiver<DuplexStream>,
    next_port: u16,
}

impl Place {
    /// A place that nothing outside this process can reach.
    pub(crate) fn in_memory() -> (Self, MemoryListener) {
        let (place, waiting) = mpsc::channel(BACKLOG);
        let listener = MemoryListener {
            waiting,
            next_port: FIRST_PORT,
        };
        (Self::Memory(place), listener)
    }

    /// A connection to it; with a gate, through that.
    pub(crate) async fn connect(&self, gate: Option<&Arc<Gate>>) -> io::Result<Stream> {
        let stream = match self {
            Self::Memory(place) => {
                let (near, far) = duplex(PIPE);
                let refused = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
                place.send(far).await.map_err(refused)?;
                Stream::Memory(near)
            }
            Self::Tcp(addr) => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Ok(match gate {
            Some(gate) => Stream::gated(stream, gate.clone()),
            None => stream,
        })
    }
}

impl MemoryListener {
    /// The next connection, with an address as a client on this machine has one.
    ///
    /// Cancel safe: no connection is lost.
    pub(crate) async fn accept(&mut self) -> (Stream, SocketAddr) {
        let Some(stream) = self.waiting.recv().await else {
            // Nobody can come any more.
            return std::future::pending().await;
        };
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next_port));
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        (Stream::Memory(stream), peer)
    }
}

/// Connections that wait to be accepted.
const BACKLOG: usize = 128;
/// RFC 6335 §6: from here on they are for clients.
const FIRST_PORT: u16 = 49152;
