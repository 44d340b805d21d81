//! A WebSocket client written by hand, that can say every wrong thing.
//! Does not use the crate under test: a server must not be tested with itself.

mod frame;
mod http;

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::timeout;

pub use frame::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, Received, TEXT, encode_all};
pub use http::{Head, Response};

/// How long the server may take for any one thing before that is a failure.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// A pause in which nothing happens proves that nothing will.
pub const QUIET: Duration = Duration::from_millis(250);

/// The key of RFC 6455 §1.3, and what answers it.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One connection. Reading and writing are two fields, so that a test can do
/// both at a time. Dropping it drops the TCP connection.
pub struct RawClient {
    pub reader: Reader,
    pub writer: Writer,
    host: String,
    local: Option<SocketAddr>,
}

pub struct Reader {
    half: ReadHalf<Box<dyn Io>>,
    received: Vec<u8>,
    consumed: usize,
}

pub struct Writer {
    half: WriteHalf<Box<dyn Io>>,
}

impl RawClient {
    pub async fn connect(addr: SocketAddr) -> RawClient {
        let stream = timeout(DEADLINE, TcpStream::connect(addr)).await;
        let stream = stream.expect("connecting hangs").expect("connecting fails");
        RawClient::from_tcp(stream, addr)
    }

    /// Connects and sends, while the server's thread does nothing else.
    pub fn connect_with(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> RawClient {
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        stream.write_all(bytes.as_ref()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        Self::over(stream, addr.to_string(), None)
    }

    /// With kernel buffers so small that it soon shows when nobody reads.
    pub async fn connect_narrow(addr: SocketAddr) -> RawClient {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        let stream = timeout(DEADLINE, socket.connect(addr)).await;
        RawClient::from_tcp(stream.expect("connecting hangs").unwrap(), addr)
    }

    /// From another address of this machine.
    pub async fn connect_from(ip: IpAddr, addr: SocketAddr) -> RawClient {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip, 0)).unwrap();
        let stream = timeout(DEADLINE, socket.connect(addr)).await;
        RawClient::from_tcp(stream.expect("connecting hangs").unwrap(), addr)
    }

    pub async fn connect_unix(path: &Path) -> RawClient {
        let stream = timeout(DEADLINE, UnixStream::connect(path)).await;
        let stream = stream.expect("connecting hangs").expect("connecting fails");
        RawClient::over(stream, "localhost".into(), None)
    }

    /// Connected, and through the opening handshake.
    pub async fn open(addr: SocketAddr) -> RawClient {
        RawClient::open_at(addr, "/").await
    }

    pub async fn open_at(addr: SocketAddr, path: &str) -> RawClient {
        let mut client = RawClient::connect(addr).await;
        client.handshake_at(path, &[]).await;
        client
    }

    fn from_tcp(stream: TcpStream, addr: SocketAddr) -> RawClient {
        stream.set_nodelay(true).unwrap();
        let local = stream.local_addr().unwrap();
        RawClient::over(stream, addr.to_string(), Some(local))
    }

    /// Over any stream that is connected to a server.
    pub fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: String,
        local: Option<SocketAddr>,
    ) -> RawClient {
        let (read, write) = tokio::io::split(Box::new(stream) as Box<dyn Io>);
        let reader = Reader {
            half: read,
            received: Vec::new(),
            consumed: 0,
        };
        let writer = Writer { half: write };
        RawClient {
            reader,
            writer,
            host,
            local,
        }
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local.expect("a TCP connection")
    }

    /// What a `Host` header to this server holds.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A valid upgrade request to this server, to be changed.
    pub fn upgrade(&self) -> Head {
        Head::upgrade("/", &self.host)
    }

    pub async fn handshake(&mut self, extra: &[(&str, &str)]) -> Response {
        self.handshake_at("/", extra).await
    }

    /// Sends a valid upgrade with these headers too, and wants a valid 101.
    pub async fn handshake_at(&mut self, path: &str, extra: &[(&str, &str)]) -> Response {
        let mut head = Head::upgrade(path, &self.host);
        for (name, value) in extra {
            head = head.with(name, value);
        }
        self.send_raw(head.encode()).await;
        let response = self.read_response().await;
        response.assert_upgraded();
        response
    }

    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.writer.send_raw(bytes).await;
    }

    pub async fn send(&mut self, frame: Frame) {
        self.writer.send_raw(frame.encode()).await;
    }

    pub async fn send_all(&mut self, frames: impl IntoIterator<Item = Frame>) {
        self.writer.send_raw(encode_all(frames)).await;
    }

    pub async fn read_response(&mut self) -> Response {
        self.reader.read_response().await
    }

    /// A request with this body, whose length is said, and what answers it.
    pub async fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Response {
        let body = body.as_ref();
        let head = Head::post(path, &self.host);
        let head = head.with("Content-Length", &body.len().to_string());
        self.send_raw([&head.encode(), body].concat()).await;
        self.read_response().await
    }

    pub async fn get(&mut self, path: &str) -> Response {
        self.send_raw(Head::get(path, &self.host).encode()).await;
        self.read_response().await
    }

    pub async fn read_frame(&mut self) -> Received {
        self.reader.read_frame().await
    }

    pub async fn expect_text(&mut self, text: &str) {
        let frame = self.read_frame().await;
        assert_eq!((frame.opcode, frame.fin), (TEXT, true), "{frame:?}");
        assert_eq!(frame.text(), text);
    }

    pub async fn expect_binary(&mut self, bytes: &[u8]) {
        let frame = self.read_frame().await;
        assert_eq!((frame.opcode, frame.fin), (BINARY, true), "{frame:?}");
        assert!(frame.payload == bytes, "another payload came back");
    }

    pub async fn expect_ping(&mut self) -> Vec<u8> {
        let frame = self.read_frame().await;
        assert_eq!(frame.opcode, PING, "wanted a ping, got {frame:?}");
        frame.payload
    }

    pub async fn expect_pong(&mut self, payload: &[u8]) {
        let frame = self.read_frame().await;
        assert_eq!(frame.opcode, PONG, "wanted a pong, got {frame:?}");
        assert_eq!(frame.payload, payload);
    }

    /// Wants a Close with this code next; gives its reason.
    pub async fn expect_close(&mut self, code: u16) -> String {
        let frame = self.read_frame().await;
        assert_eq!(frame.opcode, CLOSE, "wanted a Close, got {frame:?}");
        assert_eq!(frame.close_code(), Some(code), "{frame:?}");
        String::from_utf8(frame.payload[2..].to_vec()).expect("the reason is UTF-8")
    }

    /// Wants a Close without a code next: `88 00`.
    pub async fn expect_empty_close(&mut self) {
        let frame = self.read_frame().await;
        assert_eq!((frame.opcode, frame.payload.as_slice()), (CLOSE, &[][..]));
    }

    /// Wants the connection to end, by FIN or by RST, with nothing more on it.
    pub async fn expect_eof(&mut self) {
        self.reader.expect_eof().await;
    }

    /// Ends the sending side first, so that the server need not wait for a
    /// Close that does not come.
    pub async fn hang_up(&mut self) {
        self.writer.shutdown().await;
        self.expect_eof().await;
    }

    /// Wants the connection to end by FIN with nothing more on it.
    pub async fn expect_clean_eof(&mut self) {
        let end = self.reader.end().await;
        assert!(end.is_ok(), "wanted a FIN, got {end:?}");
    }

    /// Wants nothing to come for a moment.
    pub async fn expect_quiet(&mut self) {
        self.reader.expect_quiet(QUIET).await;
    }

    /// The closing handshake, begun here.
    pub async fn close(mut self) {
        self.send(Frame::close(1000, "")).await;
        self.expect_close(1000).await;
        self.expect_eof().await;
    }
}

impl Writer {
    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let wrote = timeout(DEADLINE, self.half.write(rest)).await;
            let wrote = wrote.expect("the server takes no more bytes");
            rest = &rest[wrote.expect("writing fails")..];
        }
        // A TLS client may still hold some of it.
        let flushed = timeout(DEADLINE, self.half.flush()).await;
        flushed.expect("the server takes no more bytes").unwrap();
    }

    /// As far as the server takes it: stops after 400 ms without progress, or
    /// at the connection's end. Gives how many bytes went.
    pub async fn send_until_stalled(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let write = self.half.write(&bytes[sent..]);
            match timeout(Duration::from_millis(400), write).await {
                Ok(Ok(n)) => sent += n,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        sent
    }

    /// A write that may find the connection gone.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let wrote = timeout(DEADLINE, self.half.write_all(bytes.as_ref())).await;
        wrote.expect("the server takes no more bytes").is_ok()
    }

    /// FIN: this side sends no more, and still reads.
    pub async fn shutdown(&mut self) {
        // The connection may be gone already.
        let _ = self.half.shutdown().await;
    }
}

impl Reader {
    pub async fn read_response(&mut self) -> Response {
        let mut response = self.read_head().await;
        response.body = self.read_body(&response).await;
        response
    }

    /// A response's head, and nothing of what follows it.
    pub async fn read_head(&mut self) -> Response {
        let end = loop {
            let text = self.unread();
            if let Some(at) = text.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let n = self.fill("a response head").await.unwrap_or(0);
            let so_far = String::from_utf8_lossy(self.unread()).into_owned();
            assert!(n > 0, "the connection ended in a response head: {so_far:?}");
        };
        let head = String::from_utf8(self.take(end)).expect("a response head is ASCII");
        Response::parse(&head)
    }

    async fn read_body(&mut self, response: &Response) -> Vec<u8> {
        if matches!(response.status, 101 | 204 | 304) {
            return Vec::new();
        }
        if response.has_token("transfer-encoding", "chunked") {
            let mut body = Vec::new();
            while let Some(chunk) = self.read_chunk().await {
                body.extend(chunk);
            }
            return body;
        }
        let length = response.header("content-length");
        let length = length.expect("the body has a length or is chunked");
        let length: usize = length.parse().expect("a length is a number");
        self.read_exactly(length).await
    }

    /// The next chunk of a chunked body (RFC 9112 §7.1); none after the last.
    pub async fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.unread().windows(2).position(|w| w == b"\r\n") {
                break at;
            }
            let n = self.fill("a chunk").await.unwrap_or(0);
            assert!(n > 0, "the connection ended in a chunked body");
        };
        let line = String::from_utf8(self.take(end + 2)).expect("a chunk's length is ASCII");
        let length = usize::from_str_radix(line.trim(), 16);
        let length = length.unwrap_or_else(|_| panic!("no chunk's length: {line:?}"));
        let mut chunk = self.read_exactly(length + 2).await;
        assert_eq!(chunk.split_off(length), b"\r\n");
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }

    pub async fn read_exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread().len() < length {
            let n = self.fill("a response body").await.unwrap_or(0);
            assert!(n > 0, "the connection ended in a response body");
        }
        self.take(length)
    }

    pub async fn read_frame(&mut self) -> Received {
        loop {
            if let Some((frame, used)) = Received::parse(self.unread()) {
                self.consumed += used;
                frame.assert_legal_from_a_server();
                return frame;
            }
            let n = self.fill("a frame").await;
            let rest = self.unread();
            assert!(
                matches!(n, Ok(1..)),
                "wanted a frame, the connection ended ({n:?}) with {rest:x?}"
            );
        }
    }

    pub async fn expect_eof(&mut self) {
        if let Err(kind) = self.end().await {
            assert_eq!(kind, ErrorKind::ConnectionReset);
        }
    }

    pub async fn expect_quiet(&mut self, time: Duration) {
        let rest = self.unread();
        assert!(rest.is_empty(), "wanted nothing, got {rest:x?}");
        let mut byte = [0];
        if let Ok(read) = timeout(time, self.half.read(&mut byte)).await {
            panic!("wanted nothing, got {read:?} ({byte:x?})");
        }
    }

    /// Everything up to the connection's end.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill("the connection's end").await.unwrap_or(0) > 0 {}
        self.take(self.unread().len())
    }

    /// One byte straight off the socket: what follows it stays in the kernel,
    /// so that a drop is a RST instead of a FIN.
    pub async fn read_one_byte(&mut self) -> u8 {
        assert!(self.unread().is_empty());
        let byte = timeout(DEADLINE, self.half.read_u8()).await;
        byte.expect("nothing came").expect("reading fails")
    }

    /// The next byte, or none at the connection's end.
    pub async fn read_one_byte_or_end(&mut self) -> Option<u8> {
        if self.unread().is_empty() && self.fill("a byte").await.unwrap_or(0) == 0 {
            return None;
        }
        Some(self.take(1)[0])
    }

    async fn end(&mut self) -> Result<(), ErrorKind> {
        let n = self.fill("the connection's end").await;
        let rest = self.unread();
        assert!(rest.is_empty(), "wanted the end, got {rest:x?}");
        n.map(|_| ())
    }

    async fn fill(&mut self, wanted: &str) -> Result<usize, ErrorKind> {
        if self.consumed > 64 * 1024 {
            self.received.drain(..self.consumed);
            self.consumed = 0;
        }
        let mut chunk = [0; 16 * 1024];
        match timeout(DEADLINE, self.half.read(&mut chunk)).await {
            Ok(Ok(n)) => {
                self.received.extend_from_slice(&chunk[..n]);
                Ok(n)
            }
            Ok(Err(error)) => Err(error.kind()),
            Err(_) => panic!(
                "waited {DEADLINE:?} for {wanted}; so far there is {:x?}",
                self.unread()
            ),
        }
    }

    fn unread(&self) -> &[u8] {
        &self.received[self.consumed..]
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.unread()[..n].to_vec();
        self.consumed += n;
        taken
    }
}
