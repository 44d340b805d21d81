//! The loop that accepts connections and spreads them over the threads.
//! Does not speak HTTP but to refuse whoever is one too many.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{coop::consume_budget, yield_now};
use tokio::time::sleep;

use super::address::Listener;
use super::conn;
use super::thread::Thread;
use crate::alone::{drop_alone, poll_alone};
use crate::connection::{Stream, is_settled};
use crate::log::Lasting;

/// Accepts on one listener for ever. Dropped, it closes the listener.
pub(super) struct Acceptor {
    listener: Listener,
    threads: Arc<[Arc<Thread>]>,
    /// How many more may be told that they are one too many.
    refusals: Arc<Semaphore>,
    trouble: Lasting,
    /// Connections that were begun here since others had their turn.
    begun: usize,
}

impl Acceptor {
    pub(super) fn new(listener: Listener, threads: Arc<[Arc<Thread>]>) -> Self {
        Self {
            listener,
            threads,
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            trouble: Lasting::default(),
            begun: 0,
        }
    }

    pub(super) async fn run(mut self) {
        let mut pause = MIN_PAUSE;
        loop {
            // Others have their turn too, however many connections wait.
            consume_budget().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    pause = MIN_PAUSE;
                    self.admit(stream, peer);
                    if self.begun == BEGUN {
                        self.begun = 0;
                        yield_now().await;
                    }
                }
                // The connection died while it waited; the next one is fine.
                Err(e) if is_the_peers(&e) => {}
                // Out of descriptors or memory: it stays so until connections end,
                // and accepting at once would only burn the processor.
                Err(e) => {
                    self.trouble
                        .warn(&format!("cannot accept connections: {e}"));
                    sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    fn admit(&mut self, stream: Stream, peer: Option<SocketAddr>) {
        let thread = self.emptiest();
        let site = &thread.site;
        let Some(mut permit) = thread.load.admit() else {
            self.trouble
                .warn("max_connections is reached: new connections are refused");
            return self.refuse(stream, UNAVAILABLE);
        };
        let ip = peer.map(|peer| peer.ip());
        if let Some(ip) = ip.filter(|ip| !site.proxies.trusts(Some(*ip))) {
            match site.counts.admit_address(ip) {
                Ok(address) => permit.hold(address),
                Err(_) => return self.refuse(stream, TOO_MANY),
            }
        }
        let thread = thread.clone();
        if thread.accepts {
            let served = conn::serve(thread.clone(), stream, peer, permit);
            // A TLS handshake does not end at once.
            match is_settled() && !site.is_secure() {
                true => self.begin(Box::pin(served)),
                false => drop(tokio::spawn(served)),
            }
            return;
        }
        // Whatever watches it, the other runtime must.
        let Ok(moved) = Detached::new(stream) else {
            return;
        };
        thread.runtime.clone().spawn(async move {
            if let Ok(stream) = moved.attach() {
                conn::serve(thread, stream, peer, permit).await;
            }
        });
    }

    /// Serves a connection as far as it goes at once: the request of most is there. For
    /// the rest it has a task.
    fn begin(&mut self, mut served: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.begun += 1;
        // A task polls it again, with a waker of its own.
        let cx = &mut Context::from_waker(Waker::noop());
        match poll_alone(served.as_mut(), cx) {
            Poll::Pending => drop(tokio::spawn(served)),
            Poll::Ready(()) => drop_alone(served),
        }
    }

    fn emptiest(&self) -> &Arc<Thread> {
        let emptiest = self.threads.iter().min_by_key(|thread| thread.load.open());
        emptiest.expect("a server has a thread")
    }

    /// Answers, if not too many are being answered so already. Who waits for a
    /// handshake could not read it.
    fn refuse(&self, stream: Stream, response: &'static [u8]) {
        if self.threads[0].site.is_secure() && stream.is_plain() {
            return;
        }
        if let Ok(permit) = self.refusals.clone().try_acquire_owned() {
            tokio::spawn(async move {
                conn::refuse(stream, response).await;
                drop(permit);
            });
        }
    }
}

/// A stream between two runtimes.
enum Detached {
    #[cfg(unix)]
    Loose(Stream),
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    fn new(stream: Stream) -> io::Result<Self> {
        Ok(match stream {
            #[cfg(unix)]
            loose @ Stream::Loose(_) => Self::Loose(loose),
            Stream::Tcp(stream) => Self::Tcp(stream.into_std()?),
            // A handshake is done where the connection stays.
            #[cfg(feature = "tls")]
            Stream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
            #[cfg(unix)]
            Stream::Unix(stream) => Self::Unix(stream.into_std()?),
            // It knows no poller; and who accepts one serves it on one runtime.
            Stream::Memory(_) => return Err(io::ErrorKind::Unsupported.into()),
            // A connection's, later.
            #[cfg(unix)]
            Stream::Polled(_) => return Err(io::ErrorKind::Unsupported.into()),
            // A client's.
            #[cfg(feature = "testing")]
            Stream::Gated(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    fn attach(self) -> io::Result<Stream> {
        Ok(match self {
            #[cfg(unix)]
            Self::Loose(stream) => stream,
            Self::Tcp(stream) => Stream::Tcp(tokio::net::TcpStream::from_std(stream)?),
            #[cfg(unix)]
            Self::Unix(stream) => Stream::Unix(tokio::net::UnixStream::from_std(stream)?),
        })
    }
}

/// Errors of `accept` that belong to the connection, not to us.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// Connections that begin here before others have their turn: each costs more than what
/// the runtime's own count is made for.
const BEGUN: usize = 16;
const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Peers at a time that are told why they are refused; the others are just closed.
const MAX_REFUSALS: usize = 64;

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    connection: close\r\n\
    retry-after: 5\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 29\r\n\r\n\
    the server is full, try later";

// RFC 6585 §4
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
    connection: close\r\n\
    retry-after: 5\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 39\r\n\r\n\
    too many connections from this address\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_responses_have_the_length_they_say() {
        for response in [UNAVAILABLE, TOO_MANY, conn::REQUEST_TIMEOUT] {
            let text = std::str::from_utf8(response).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let (_, length) = head.rsplit_once("content-length: ").unwrap();
            assert_eq!(length.parse(), Ok(body.len()), "{text}");
        }
    }
}
