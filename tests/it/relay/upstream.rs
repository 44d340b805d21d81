//! A WebSocket server written by hand, of which the test holds each connection.
//! Does not use the crate under test.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::raw::{BINARY, CLOSE, DEADLINE, Frame, PING, PONG, QUIET, TEXT, encode_all};

pub struct Upstream {
    listener: TcpListener,
    pub addr: SocketAddr,
}

/// One connection, and the request that it came with.
pub struct Conn {
    stream: TcpStream,
    received: Vec<u8>,
    head: String,
    keys: Vec<[u8; 4]>,
}

/// A frame that a client sent, unmasked.
#[derive(Debug)]
pub struct Sent {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Upstream {
    pub async fn start() -> Upstream {
        Upstream::of(TcpSocket::new_v4().unwrap())
    }

    /// With kernel buffers so small that it soon shows when nobody reads.
    pub async fn narrow() -> Upstream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        Upstream::of(socket)
    }

    fn of(socket: TcpSocket) -> Upstream {
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let addr = listener.local_addr().unwrap();
        Upstream { listener, addr }
    }

    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addr)
    }

    /// The next connection with its request, not answered yet.
    pub async fn asked(&self) -> Conn {
        let accepted = timeout(DEADLINE, self.listener.accept()).await;
        let (stream, _) = accepted.expect("nobody connects").unwrap();
        stream.set_nodelay(true).unwrap();
        let mut conn = Conn {
            stream,
            received: Vec::new(),
            head: String::new(),
            keys: Vec::new(),
        };
        let end = loop {
            let end = conn.received.windows(4).position(|w| w == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            assert!(conn.fill().await > 0, "it ends in a request's head");
        };
        let head = conn.received.drain(..end).collect();
        conn.head = String::from_utf8(head).unwrap();
        conn
    }

    /// The next connection, upgraded.
    pub async fn accept(&self) -> Conn {
        self.accept_with("", b"").await
    }

    /// The next connection, upgraded with these headers too, and with these bytes
    /// in the same packet.
    pub async fn accept_with(&self, headers: &str, bytes: &[u8]) -> Conn {
        let mut conn = self.asked().await;
        let switch = conn.switch(headers);
        conn.send_raw([switch.as_bytes(), bytes].concat()).await;
        conn
    }
}

impl Conn {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").skip(1);
        let line = lines.find(|line| {
            let found = line.split(':').next().unwrap();
            found.eq_ignore_ascii_case(name)
        })?;
        Some(line.split_once(':').unwrap().1.trim())
    }

    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    fn switch(&self, headers: &str) -> String {
        let key = self.header("sec-websocket-key").expect("it has a key");
        let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        let accept = STANDARD.encode(hash);
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
        )
    }

    pub async fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let wrote = timeout(DEADLINE, self.stream.write(rest)).await;
            let wrote = wrote.expect("it takes no more");
            rest = &rest[wrote.expect("writing fails")..];
        }
    }

    /// As a server sends it: without a mask.
    pub async fn send(&mut self, frame: Frame) {
        self.send_raw(frame.unmasked().encode()).await;
    }

    pub async fn send_all(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let frames = frames.into_iter().map(Frame::unmasked);
        self.send_raw(encode_all(frames)).await;
    }

    /// As far as it is taken: stops after 400 ms without progress.
    pub async fn send_until_stalled(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let write = self.stream.write(&bytes[sent..]);
            match timeout(Duration::from_millis(400), write).await {
                Ok(Ok(n)) => sent += n,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        sent
    }

    /// The next frame: masked, with a key of its own, whole, in the shortest form.
    pub async fn frame(&mut self) -> Sent {
        loop {
            if let Some((sent, used)) = self.parse() {
                self.received.drain(..used);
                return sent;
            }
            let n = self.fill().await;
            assert!(n > 0, "wanted a frame, it ended: {:x?}", self.received);
        }
    }

    fn parse(&mut self) -> Option<(Sent, usize)> {
        let bytes = &self.received;
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        assert_eq!(first & 0xf0, 0x80, "whole, and no extension");
        assert_eq!(second & 0x80, 0x80, "§5.1, a client masks");
        let be = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
        let (length, head) = match second & 0x7f {
            126 => (be(bytes.get(2..4)?), 4),
            127 => (be(bytes.get(2..10)?), 10),
            n => (usize::from(n), 2),
        };
        let shortest = match length {
            0..126 => 2,
            126..65_536 => 4,
            _ => 10,
        };
        assert_eq!(head, shortest, "§5.2, the shortest form");
        let key: [u8; 4] = bytes.get(head..head + 4)?.try_into().unwrap();
        let end = head + 4 + length;
        let payload = bytes.get(head + 4..end)?.iter().enumerate();
        let payload = payload.map(|(i, byte)| byte ^ key[i % 4]).collect();
        let opcode = first & 0xf;
        let repeated = self.keys.iter().filter(|other| **other == key).count();
        assert!(repeated < 2, "§5.3, each frame has a key of its own");
        self.keys.push(key);
        Some((Sent { opcode, payload }, end))
    }

    pub async fn expect_text(&mut self, text: &str) {
        let frame = self.frame().await;
        assert_eq!(frame.opcode, TEXT, "{frame:?}");
        assert_eq!(String::from_utf8(frame.payload).unwrap(), text);
    }

    pub async fn expect_binary(&mut self, bytes: &[u8]) {
        let frame = self.frame().await;
        assert_eq!(frame.opcode, BINARY);
        assert!(frame.payload == bytes, "another payload came");
    }

    pub async fn expect_ping(&mut self) -> Vec<u8> {
        let frame = self.frame().await;
        assert_eq!(frame.opcode, PING, "{frame:?}");
        frame.payload
    }

    pub async fn expect_pong(&mut self, payload: &[u8]) {
        let frame = self.frame().await;
        assert_eq!((frame.opcode, &*frame.payload), (PONG, payload));
    }

    /// Wants a Close with this code; gives its reason.
    pub async fn expect_close(&mut self, code: u16) -> String {
        let frame = self.frame().await;
        assert_eq!(frame.opcode, CLOSE, "{frame:?}");
        assert_eq!(frame.payload.get(..2), Some(&code.to_be_bytes()[..]));
        String::from_utf8(frame.payload[2..].to_vec()).unwrap()
    }

    pub async fn expect_empty_close(&mut self) {
        let frame = self.frame().await;
        assert_eq!((frame.opcode, &*frame.payload), (CLOSE, &b""[..]));
    }

    pub async fn expect_quiet(&mut self) {
        assert!(self.received.is_empty(), "{:x?}", self.received);
        let mut byte = [0];
        if let Ok(read) = timeout(QUIET, self.stream.read(&mut byte)).await {
            panic!("wanted nothing, got {read:?} ({byte:x?})");
        }
    }

    /// Wants the connection to end, by FIN or by RST, with nothing more on it.
    pub async fn expect_eof(&mut self) {
        assert!(self.received.is_empty(), "{:x?}", self.received);
        let n = self.fill().await;
        assert_eq!(n, 0, "wanted the end, got {:x?}", self.received);
    }

    /// As a server ends a connection whose Closes have gone both ways: first.
    pub async fn finish(mut self) {
        // Whoever is a client waits for it.
        self.expect_quiet().await;
        self.stream.shutdown().await.unwrap();
        self.expect_eof().await;
    }

    async fn fill(&mut self) -> usize {
        let mut chunk = [0; 16 * 1024];
        let read = timeout(DEADLINE, self.stream.read(&mut chunk)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing comes for {DEADLINE:?}"));
        let n = read.unwrap_or(0);
        self.received.extend_from_slice(&chunk[..n]);
        n
    }
}
