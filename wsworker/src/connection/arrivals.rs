//! Accepts TCP connections, which nothing watches yet: one that is upgraded at once, as
//! its request is there, is never registered with the runtime. A handshake that ends at
//! a reactor so has one `epoll_ctl` instead of three.
//! Does not know who serves them.

use std::io;
use std::net::SocketAddr;

#[cfg(unix)]
use mio::net::TcpListener;
#[cfg(unix)]
use tokio::io::unix::AsyncFd;
#[cfg(not(unix))]
use tokio::net::TcpListener;

#[cfg(unix)]
use super::reactor::watch;
use super::stream::Stream;

/// A listening socket. Dropped, it is closed.
pub(crate) struct Arrivals {
    #[cfg(unix)]
    listener: AsyncFd<TcpListener>,
    #[cfg(not(unix))]
    listener: TcpListener,
}

impl Arrivals {
    /// On a socket that listens, on the current runtime.
    pub(crate) fn new(listener: tokio::net::TcpListener) -> io::Result<Self> {
        #[cfg(unix)]
        let listener = watch(TcpListener::from_std(listener.into_std()?))?;
        Ok(Self { listener })
    }

    /// The next connection.
    ///
    /// Cancel safe: no connection is lost.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        #[cfg(unix)]
        loop {
            let mut ready = self.listener.readable().await?;
            if let Ok(accepted) = ready.try_io(|listener| listener.get_ref().accept()) {
                let (socket, peer) = accepted?;
                // On Linux the socket has it from its listener, without a call. It
                // fails where the peer is gone already, as is found out soon.
                if !cfg!(target_os = "linux") {
                    let _ = socket.set_nodelay(true);
                }
                return Ok((Stream::loose(socket), peer));
            }
        }
        #[cfg(not(unix))]
        {
            let (stream, peer) = self.listener.accept().await?;
            let _ = stream.set_nodelay(true);
            Ok((Stream::Tcp(stream), peer))
        }
    }
}
