//! Where a server listens: the text, the value, the bound socket.
//! Does not accept connections; `accept` does.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::TcpSocket;
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

#[cfg(feature = "testing")]
use crate::connection::MemoryListener;
use crate::connection::{Arrivals, Stream};
use crate::error::{Error, Result};

/// Where a server listens.
///
/// From a text: `"127.0.0.1:8787"`, `"[::1]:8787"`, `"localhost:8787"`,
/// `"unix:/run/chat.sock"`; port 0 takes a free one. Every address of the
/// machine is `"0.0.0.0:8787"`, or `"[::]:8787"` for IPv6 (and IPv4, where the
/// system has it so); a port without a host is no address. From a `SocketAddr`
/// or a path too. A text that cannot be an address is an error when the server
/// starts to listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket. Its file is made at start, over one that no process
    /// listens on, and removed at the end.
    Unix(PathBuf),
    /// `host:port`, looked up when the server starts to listen: all that the
    /// name stands for is bound. Never among
    /// [`Listening::local_addrs`](crate::Listening::local_addrs).
    Name(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Name(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        let text = text.trim();
        match (text.strip_prefix("unix:"), text.parse()) {
            (Some(path), _) => Self::Unix(path.into()),
            (None, Ok(addr)) => Self::Tcp(addr),
            (None, Err(_)) => Self::Name(text.to_owned()),
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr)
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Self {
        Self::Unix(path.into())
    }
}

impl Address {
    /// What is wrong with it if it cannot be an address at all. Whether it can
    /// be had only binding tells.
    pub(super) fn wrong(&self) -> Option<String> {
        let text = match self {
            Self::Tcp(_) => return None,
            Self::Unix(path) => {
                let empty = path.as_os_str().is_empty();
                return empty.then(|| "names no path".to_owned());
            }
            Self::Name(text) => text,
        };
        if text.contains("://") {
            return Some("is a URL".to_owned());
        }
        let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match (host, port.parse::<u16>()) {
            // No host is every address elsewhere. Here the default is loopback,
            // so opening the machine to its network is to be said in full.
            ("", Ok(port)) => Some(format!(
                "names no host (127.0.0.1:{port} is for this machine alone, \
                 0.0.0.0:{port} for every address of it)"
            )),
            (_, Ok(_)) => None,
            (_, Err(_)) if digits => Some("has a port over 65535".to_owned()),
            ("", Err(_)) if !text.contains(':') => Some("names no port".to_owned()),
            _ => Some(format!("has '{port}' for a port")),
        }
    }
}

/// A bound socket. Dropped, it is closed, and a Unix socket's file removed.
pub(super) enum Listener {
    Tcp(Arrivals),
    #[cfg(unix)]
    Unix(
        UnixListener,
        #[expect(dead_code, reason = "for its drop")] SocketFile,
    ),
    #[cfg(feature = "testing")]
    Memory(MemoryListener),
}

impl Listener {
    /// Binds all that the address stands for: one socket, or more for a name.
    pub(super) async fn bind(address: &Address) -> Result<Vec<(Address, Self)>> {
        if let Some(wrong) = address.wrong() {
            return Err(Error::config(format!(
                "cannot listen on '{address}', which {wrong}: wanted {WANTED}"
            )));
        }
        match address {
            Address::Tcp(addr) => match bind_tcp(*addr) {
                Ok(bound) => Ok(vec![bound]),
                Err(e) => Err(explain(address, e)),
            },
            Address::Unix(path) => Ok(vec![bind_unix(path).await?]),
            Address::Name(text) => bind_name(text).await,
        }
    }

    /// The next connection; the peer's address unless it is a Unix socket.
    ///
    /// Cancel safe: no connection is lost.
    pub(super) async fn accept(&mut self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // One form for an address, also where a socket for IPv6 takes IPv4.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                Ok((stream, Some(peer)))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
            #[cfg(feature = "testing")]
            Self::Memory(listener) => {
                let (stream, peer) = listener.accept().await;
                Ok((stream, Some(peer)))
            }
        }
    }
}

async fn bind_name(text: &str) -> Result<Vec<(Address, Listener)>> {
    // Blocks for the look-up, which happens once, before anything is served:
    // no thread pool for it.
    let found = std::net::ToSocketAddrs::to_socket_addrs(text)
        .map_err(|e| Error::io(format!("cannot look up '{text}' (wanted {WANTED})"), e))?;
    let mut bound = Vec::new();
    let mut failed = None;
    for addr in found {
        match bind_tcp(addr) {
            Ok(one) => bound.push(one),
            // A name may stand for ::1 where there is no IPv6.
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => failed = Some((addr, e)),
            Err(e) => return Err(explain(&Address::Tcp(addr), e)),
        }
    }
    match failed {
        Some((addr, e)) if bound.is_empty() => Err(explain(&Address::Tcp(addr), e)),
        _ if bound.is_empty() => Err(Error::config(format!("'{text}' stands for no address"))),
        _ => Ok(bound),
    }
}

fn bind_tcp(addr: SocketAddr) -> io::Result<(Address, Listener)> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Only SO_REUSEADDR, which lets a restart follow at once: with SO_REUSEPORT
    // a second process would share the port without a word.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Inherited by what is accepted: no system call for each connection.
    socket.set_nodelay(true)?;
    socket.bind(addr)?;
    let listener = socket.listen(BACKLOG)?;
    let addr = listener.local_addr()?;
    Ok((Address::Tcp(addr), Listener::Tcp(Arrivals::new(listener)?)))
}

#[cfg(not(unix))]
async fn bind_unix(path: &Path) -> Result<(Address, Listener)> {
    let path = path.display();
    Err(Error::config(format!(
        "cannot listen on 'unix:{path}': this system has no Unix sockets here"
    )))
}

#[cfg(unix)]
async fn bind_unix(path: &Path) -> Result<(Address, Listener)> {
    use std::os::unix::fs::FileTypeExt;

    let address = Address::Unix(path.to_owned());
    let bound = match UnixListener::bind(path) {
        // A file is there. If it is a socket that refuses, its process is gone.
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            let is_socket =
                std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
            if !is_socket {
                return Err(Error::config(format!(
                    "cannot listen on {address}: a file that is no socket is in the way"
                )));
            }
            match UnixStream::connect(path).await {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                    tracing::info!(%address, "replacing the socket of a process that is gone");
                    std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
                }
                _ => Err(e),
            }
        }
        other => other,
    };
    let listener = bound.map_err(|e| explain(&address, e))?;
    let file = SocketFile::of(path).map_err(|e| explain(&address, e))?;
    Ok((address, Listener::Unix(listener, file)))
}

/// What went wrong, with what to do where that is known.
fn explain(address: &Address, error: io::Error) -> Error {
    match (error.kind(), address) {
        (io::ErrorKind::AddrInUse, Address::Unix(_)) => {
            Error::io(format!("address {address} is already in use"), error)
        }
        (io::ErrorKind::AddrInUse, _) => {
            let hint = "another process listens there, or has it as its own end of a \
                        connection; stop it, or choose another address with WSWORKER_ADDR or \
                        Server::bind";
            Error::io(
                format!("address {address} is already in use ({hint})"),
                error,
            )
        }
        (io::ErrorKind::PermissionDenied, Address::Tcp(addr)) if addr.port() < 1024 => {
            let hint = "ports below 1024 need a privilege";
            Error::io(format!("may not listen on {address} ({hint})"), error)
        }
        _ => Error::io(format!("cannot listen on {address}"), error),
    }
}

/// A Unix socket's file. Removed on drop if it is still the one that we made.
#[cfg(unix)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

#[cfg(unix)]
impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            // The process may change its directory before the end.
            path: std::path::absolute(path)?,
            identity: Self::identity(path)?,
        })
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::symlink_metadata(path)?;
        Ok((meta.dev(), meta.ino()))
    }
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path).is_ok_and(|now| now == self.identity) {
            // A file that stays is replaced by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What an address looks like, for messages.
const WANTED: &str = "host:port, such as 127.0.0.1:8787, or unix:/path";

/// Connections that the kernel holds until we accept them; it may hold fewer.
const BACKLOG: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_what_it_shows() {
        let cases = [
            ("127.0.0.1:0", Address::Tcp(([127, 0, 0, 1], 0).into())),
            (" [::1]:80 ", Address::Tcp("[::1]:80".parse().unwrap())),
            ("unix:/run/x", Address::Unix("/run/x".into())),
            ("localhost:80", Address::Name("localhost:80".into())),
        ];
        for (text, address) in cases {
            assert_eq!(Address::from(text), address);
            assert_eq!(address.to_string(), text.trim());
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }

    fn bind_error(text: &str) -> String {
        let bound = block_on(async { Listener::bind(&text.into()).await });
        bound.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_text_is_explained() {
        let host = "names no host (127.0.0.1:80 is for this machine alone, 0.0.0.0:80 for every \
                    address of it)";
        for (text, wrong) in [
            ("80", host),
            (":80", host),
            ("unix:", "names no path"),
            ("", "names no port"),
            ("127.0.0.1", "names no port"),
            ("localhost:", "has '' for a port"),
            ("localhost:x", "has 'x' for a port"),
            (":", "has '' for a port"),
            ("localhost:99999", "has a port over 65535"),
            ("127.0.0.1:99999", "has a port over 65535"),
            ("99999", "has a port over 65535"),
            ("ws://127.0.0.1:80", "is a URL"),
        ] {
            let wanted = format!("cannot listen on '{text}', which {wrong}: wanted host:port, ");
            let error = bind_error(text);
            assert!(error.starts_with(&wanted), "{error}");
        }
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        block_on(async {
            let first = Listener::bind(&"127.0.0.1:0".into()).await.unwrap();
            let error = Listener::bind(&first[0].0).await.map(|_| ()).unwrap_err();
            let wanted = format!("address {} is already in use", first[0].0);
            assert!(error.to_string().starts_with(&wanted), "{error}");
            assert!(error.is_io());
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("wsworker-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        // Dropped by std, the file stays: stale.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        block_on(async {
            let address = Address::from(&*path);
            let live = Listener::bind(&address).await.unwrap();
            let error = Listener::bind(&address).await.map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("already in use"), "{error}");
            drop(live);
            assert!(!path.exists());

            std::fs::write(&path, "precious").unwrap();
            let error = Listener::bind(&address).await.map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("no socket"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), b"precious");
            std::fs::remove_file(&path).unwrap();
        });
    }
}
