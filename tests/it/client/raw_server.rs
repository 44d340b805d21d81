//! A server written by hand, that can give every wrong answer; blocking, on
//! threads of its own, so that the client's runtime holds the client's tasks alone.
//! Does not use the crate under test.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::raw::{CLOSE, DEADLINE, Frame, Received, TEXT};
use crate::server::eventually;

/// Serves each connection with the same function; it fails the test if that
/// panics. The connection ends with the function.
pub struct RawServer {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    /// Has the listener.
    accepting: Option<JoinHandle<()>>,
}

/// A connection's stream, in the clear or not.
pub trait Io: Read + Write {}
impl<T: Read + Write> Io for T {}

type Wrap = dyn Fn(TcpStream) -> Box<dyn Io> + Send + Sync;

struct Shared {
    wrap: Box<Wrap>,
    serve: Box<dyn Fn(&mut Conn) + Send + Sync>,
    accepted: AtomicUsize,
    /// Connections that the client has ended.
    left: AtomicUsize,
    /// Connections that were served to the end.
    done: AtomicUsize,
    stopped: AtomicBool,
    failures: Mutex<Vec<String>>,
}

impl RawServer {
    pub fn start(serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> RawServer {
        RawServer::start_over(|stream| Box::new(stream), serve)
    }

    /// Over what is made of each TCP stream, for instance TLS.
    pub fn start_over(
        wrap: impl Fn(TcpStream) -> Box<dyn Io> + Send + Sync + 'static,
        serve: impl Fn(&mut Conn) + Send + Sync + 'static,
    ) -> RawServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            wrap: Box::new(wrap),
            serve: Box::new(serve),
            accepted: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            failures: Mutex::default(),
        });
        let server = shared.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if server.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let number = server.accepted.fetch_add(1, Ordering::SeqCst);
                let server = server.clone();
                let stream = stream.unwrap();
                thread::spawn(move || serve_one(&server, stream, number));
            }
        });
        RawServer {
            addr,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Answers each request with the same bytes, and waits for the client to end it.
    pub fn answering(answer: impl Into<Vec<u8>>) -> RawServer {
        let answer = answer.into();
        RawServer::start(move |conn| {
            while conn.head().is_some() {
                conn.send(&answer);
            }
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addr)
    }

    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections were served to the end.
    pub fn done(&self) -> usize {
        self.shared.done.load(Ordering::SeqCst)
    }

    /// Waits until the client has ended as many connections.
    pub async fn left(&self, connections: usize) {
        eventually("the client ends its connections", || {
            self.shared.left.load(Ordering::SeqCst) >= connections
        })
        .await;
    }
}

fn serve_one(server: &Shared, stream: TcpStream, number: usize) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut conn = Conn {
        local: stream.local_addr().unwrap(),
        stream: (server.wrap)(stream),
        received: Vec::new(),
        number,
        ended: false,
    };
    let served = catch_unwind(AssertUnwindSafe(|| (server.serve)(&mut conn)));
    if let Err(panic) = served {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
        server
            .failures
            .lock()
            .unwrap()
            .push(text.unwrap_or_default());
    }
    server.done.fetch_add(1, Ordering::SeqCst);
    if conn.ended {
        server.left.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.addr);
        let accepting = self.accepting.take().map(JoinHandle::join);
        let accepted = accepting.is_some_and(|ended| ended.is_ok());
        let failures = self.shared.failures.lock().unwrap();
        if !thread::panicking() {
            assert!(accepted, "the server stopped accepting");
            assert!(failures.is_empty(), "the server: {failures:?}");
        }
    }
}

/// One accepted connection.
pub struct Conn {
    stream: Box<dyn Io>,
    received: Vec<u8>,
    /// Its own address.
    pub local: SocketAddr,
    /// The how manieth of its server it is, from 0.
    pub number: usize,
    ended: bool,
}

/// A request's head.
#[derive(Clone, Debug)]
pub struct Head {
    pub line: String,
    pub headers: Vec<(String, String)>,
}

impl Conn {
    /// The next request's head; none if the client ends the connection.
    pub fn head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                let head = String::from_utf8(self.received.drain(..end + 4).collect()).unwrap();
                return Some(Head::parse(&head));
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// As many bytes of what follows.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            assert!(self.read(), "the client ends the connection in a body");
        }
        self.received.drain(..count).collect()
    }

    /// What follows, up to these bytes and with them.
    pub fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = find(&self.received, end) {
                return self.received.drain(..at + end.len()).collect();
            }
            assert!(self.read(), "the client ends the connection");
        }
    }

    /// The next frame, which a client masks (RFC 6455 §5.1); none if the client
    /// ends the connection.
    pub fn frame(&mut self) -> Option<Received> {
        loop {
            if let Some((frame, taken)) = Received::parse(&self.received) {
                self.received.drain(..taken);
                assert!(frame.masked, "a client's frame without a mask: {frame:?}");
                return Some(frame);
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// Wants a text.
    pub fn expect_text(&mut self, wanted: &str) {
        let frame = self.frame().expect("the client ends the connection");
        assert_eq!((frame.opcode, frame.text()), (TEXT, wanted));
    }

    /// Wants a Close with this code.
    pub fn expect_close(&mut self, wanted: u16) {
        let frame = self.frame().expect("the client ends the connection");
        assert_eq!((frame.opcode, frame.close_code()), (CLOSE, Some(wanted)));
    }

    /// Sends a frame as a server does, without a mask.
    pub fn say(&mut self, frame: Frame) -> bool {
        self.send(frame.unmasked().encode())
    }

    /// Writes; a client that has gone does not mind.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.and_then(|()| self.stream.flush()).is_ok()
    }

    /// Waits until the client ends the connection; whatever else it sends is dropped.
    pub fn until_left(&mut self) {
        while self.read() {
            self.received.clear();
        }
    }

    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                return true;
            }
            Err(e) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&e.kind()) => {
                panic!("the client says nothing for {DEADLINE:?}")
            }
            Err(_) => self.ended = true,
        }
        false
    }
}

impl Head {
    fn parse(text: &str) -> Head {
        let mut lines = text.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').expect("a header has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Head {
            line,
            headers: headers.collect(),
        }
    }

    /// The header's value; a failure if it is there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        let value = values.next().map(|(_, v)| v.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap()
    }

    /// What answers its key (RFC 6455 §4.2.2).
    pub fn accept(&self) -> String {
        let key = self.header("sec-websocket-key").expect("it has a key");
        let hash = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        STANDARD.encode(hash)
    }

    /// The 101 that answers it, with more headers.
    pub fn switch(&self, more: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n{more}\r\n",
            self.accept()
        )
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|w| w == wanted)
}
