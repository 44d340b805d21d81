//! Connections to a server on loopback, and the client's half of the opening handshake.
//! Never goes elsewhere: an address outside 127.0.0.0/8 is refused where it is parsed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};

/// Source addresses in turn: each has about 28,000 ports, and a closed one rests for a minute.
const SOURCES: usize = 200;

/// No blocking read or write of a load waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// RFC 6455 §1.3: the example's key and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Parses `127.0.0.1:8787`; for use as a clap value parser.
pub fn loopback(text: &str) -> Result<SocketAddrV4> {
    let addr: SocketAddrV4 = text.parse()?;
    ensure!(
        addr.ip().is_loopback(),
        "a load goes to 127.0.0.0/8 only, got {addr}"
    );
    Ok(addr)
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// The upgrade request.
pub fn request(addr: SocketAddrV4) -> String {
    request_for(addr, "/")
}

/// The upgrade request for another path.
pub fn request_for(addr: SocketAddrV4, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// Whether `bytes` is the whole answer to a [`request`]; an error if it is another answer.
pub fn accepted(bytes: &[u8]) -> Result<bool> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = String::from_utf8_lossy(bytes);
    ensure!(
        text.starts_with("HTTP/1.1 101 ") && text.contains(ACCEPT) && end + 4 == bytes.len(),
        "the server did not accept the upgrade: {text}"
    );
    Ok(true)
}

/// Connects to `addr` and upgrades; the stream blocks, with a time limit. `nth` picks the source.
pub fn open(addr: SocketAddrV4, nth: usize) -> Result<TcpStream> {
    open_at(addr, nth, "/")
}

/// As [`open`], at another path.
pub fn open_at(addr: SocketAddrV4, nth: usize, path: &str) -> Result<TcpStream> {
    let mut stream = connect(addr, nth)?;
    answered(&mut stream, &request_for(addr, path))?;
    Ok(stream)
}

/// The client's half of the opening handshake, on a stream that blocks.
pub fn upgrade(stream: &mut (impl Read + Write), addr: SocketAddrV4) -> Result<()> {
    answered(stream, &request(addr))
}

fn answered(stream: &mut (impl Read + Write), request: &str) -> Result<()> {
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 1024]);
    while !accepted(&answer)? {
        match stream.read(&mut chunk)? {
            0 => bail!("the server closed the connection within the handshake"),
            n => answer.extend_from_slice(&chunk[..n]),
        }
    }
    Ok(())
}

/// Connects to `addr` without an upgrade; the stream blocks, with a time limit.
pub fn connect(addr: SocketAddrV4, nth: usize) -> Result<TcpStream> {
    let socket = bound(nth)?;
    socket
        .connect(&SocketAddr::V4(addr).into())
        .with_context(|| format!("connecting to {addr}"))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// Begins a connection; it is made once the stream is writable.
pub fn begin(addr: SocketAddrV4, nth: usize) -> Result<mio::net::TcpStream> {
    let socket = bound(nth)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SocketAddr::V4(addr).into()) {
        Err(e) if !in_progress(&e) => Err(e).with_context(|| format!("connecting to {addr}")),
        _ => Ok(mio::net::TcpStream::from_std(socket.into())),
    }
}

/// `None` where a non-blocking call has nothing to do now.
pub fn unless_blocked(result: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(e) => Err(e),
    }
}

fn bound(nth: usize) -> Result<Socket> {
    let last = 2 + (nth % SOURCES) as u8;
    let source = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket
        .bind(&SocketAddr::V4(source).into())
        .with_context(|| format!("binding to {source}"))?;
    Ok(socket)
}

fn in_progress(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_refused() {
        assert!(loopback("127.0.0.1:80").is_ok());
        assert!(loopback("10.0.0.1:80").is_err());
    }

    #[test]
    fn an_answer_is_judged_once_it_is_whole() {
        let good = format!("HTTP/1.1 101 Switching Protocols\r\nx: {ACCEPT}\r\n\r\n");
        assert!(accepted(good.as_bytes()).unwrap());
        assert!(!accepted(&good.as_bytes()[..good.len() - 1]).unwrap());
        assert!(accepted(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
    }
}
