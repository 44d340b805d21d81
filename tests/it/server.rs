//! The server under test: any worker on a free port, and a worker that tells
//! the test what happened to it.
//! Does not speak to the server: that is `raw`.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use wsworker::__private::{settle_here, start_reactor};
use wsworker::prelude::*;
use wsworker::{Address, ServerHandle};

use crate::raw::{DEADLINE, QUIET, RawClient};

/// No test of [`within`] takes longer, whatever the server does.
const LIMIT: Duration = Duration::from_secs(25);

/// The closing and draining deadlines of the servers under test, so short that
/// a test can wait for them.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);
pub const DRAIN_TIMEOUT: Duration = Duration::from_millis(1000);

/// Runs a test in a runtime of its own, and fails it when it hangs, even in a
/// loop that never yields. It is a thread as `run` has them, which polls its sockets
/// itself; with the variable `TEST_UNSETTLED` one as a user's, whose runtime does.
pub fn within(test: impl AsyncFnOnce() + Send + 'static) {
    within_time(LIMIT, test);
}

/// What is in it runs on a runtime of its own, with three threads.
pub async fn on_several_threads(test: impl Future<Output = ()> + Send + 'static) {
    let several = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    several.spawn(test).await.unwrap();
    several.shutdown_background();
}

/// For a test that takes longer than those of the server alone.
pub fn within_time(limit: Duration, test: impl AsyncFnOnce() + Send + 'static) {
    let (alive, ended) = mpsc::channel::<()>();
    let body = thread::spawn(move || {
        let _alive = alive;
        let _settled = is_settled().then(settle_here);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            if is_settled() {
                start_reactor();
            }
            test().await;
        });
    });
    match ended.recv_timeout(limit) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test did not end within {limit:?}"),
        _ => {
            if let Err(panic) = body.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Does a test in [`within`] have a thread as `run` has them?
pub fn is_settled() -> bool {
    std::env::var_os("TEST_UNSETTLED").is_none()
}

/// Tasks of the current runtime, of a test in [`within`], but for the one that polls its
/// sockets.
pub fn tasks() -> usize {
    let alive = Handle::current().metrics().num_alive_tasks();
    alive - usize::from(is_settled())
}

/// Waits until there are as many tasks again.
pub async fn only(tasks_before: usize) {
    eventually("the tasks have ended", || tasks() <= tasks_before).await;
}

/// A server that serves in the background.
pub struct Served {
    pub addr: SocketAddr,
    pub handle: ServerHandle,
    serving: Option<JoinHandle<Result<()>>>,
}

impl Served {
    /// Any worker on a free port of 127.0.0.1.
    pub async fn start(worker: impl Worker) -> Served {
        Served::start_with(worker, |server| server).await
    }

    pub async fn start_with(
        worker: impl Worker,
        configure: impl FnOnce(Server) -> Server,
    ) -> Served {
        let server = Server::new(worker)
            .bind("127.0.0.1:0")
            .close_timeout(CLOSE_TIMEOUT)
            .drain_timeout(DRAIN_TIMEOUT);
        let listening = configure(server).listen().await.expect("listening fails");
        let Address::Tcp(addr) = listening.local_addrs()[0] else {
            panic!("the first address is the TCP one");
        };
        Served {
            addr,
            handle: listening.handle(),
            serving: Some(tokio::spawn(listening.serve())),
        }
    }

    /// Drains, and wants `serve` to return `Ok`.
    pub async fn shut_down(&mut self) {
        self.handle.shutdown();
        self.returned().await;
    }

    /// Wants `serve` to return `Ok`.
    pub async fn returned(&mut self) {
        let Some(serving) = self.serving.take() else {
            return;
        };
        let served = timeout(DEADLINE, serving).await;
        let served = served.expect("serve does not return").unwrap();
        served.expect("serve fails");
    }
}

/// What a [`Recorder`] saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Open,
    Text(String),
    Binary(Vec<u8>),
    Error(String),
    Close {
        code: u16,
        reason: String,
        was_clean: bool,
    },
}

impl Event {
    pub fn text(text: impl Into<String>) -> Event {
        Event::Text(text.into())
    }

    pub fn clean(code: u16, reason: &str) -> Event {
        Event::Close {
            code,
            reason: reason.into(),
            was_clean: true,
        }
    }
}

/// Records every callback, and echoes every message but those that tell it to
/// do something else:
///
/// | text | what it does |
/// | --- | --- |
/// | `!hold` | waits for [`Recorded::release`], then echoes |
/// | `!wake` | yields some times, then echoes |
/// | `!fail` | returns an error with the text `secret-7f3a` |
/// | `!panic` | panics with that text |
/// | `!close`, `!close CODE REASON` | closes |
/// | `!quiet …` | nothing |
///
/// The path of its request does as much for the callbacks before: `/open-hold`,
/// `/open-fail`, `/open-panic`, `/open-hello`, `/fetch-fail`, `/fetch-panic`;
/// `/close-panic` and `/error-panic` fail the last ones.
#[worker]
#[derive(Clone)]
pub struct Recorder {
    events: UnboundedSender<Event>,
    sockets: UnboundedSender<WebSocket>,
    gate: Arc<Semaphore>,
    path: String,
}

/// The name of the Unix socket that a recorder listens on too.
const SOCKET: &str = "it.sock";

pub const SECRET: &str = "secret-7f3a";

impl Recorder {
    fn record(&self, event: Event) {
        // The test may have ended already.
        let _ = self.events.send(event);
    }

    async fn hold(&self) {
        self.gate.acquire().await.unwrap().forget();
    }
}

impl Worker for Recorder {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        self.path = req.path().to_owned();
        match req.path() {
            "/page" => Ok(Response::text("a page")),
            "/fetch-fail" => Err(Error::new(SECRET)),
            "/fetch-panic" => panic!("{SECRET}"),
            _ => Ok(req.upgrade()?.accept()),
        }
    }

    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        let _ = self.sockets.send(ws.clone());
        match self.path.as_str() {
            "/open-hold" => self.hold().await,
            "/open-hello" => ws.send("hello")?,
            "/open-fail" => return Err(Error::new(SECRET)),
            "/open-panic" => panic!("{SECRET}"),
            _ => {}
        }
        self.record(Event::Open);
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.record(match message.as_text() {
            Some(text) => Event::text(text),
            None => Event::Binary(message.as_bytes().to_vec()),
        });
        let text = message.as_text().unwrap_or_default();
        let mut words = text.splitn(3, ' ');
        match words.next().unwrap_or_default() {
            "!hold" => {
                self.hold().await;
                ws.send(message)
            }
            "!wake" => {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                ws.send(message)
            }
            "!fail" => Err(Error::new(SECRET)),
            "!panic" => panic!("{SECRET}"),
            "!quiet" => Ok(()),
            "!close" => match words.next() {
                None => ws.close(),
                Some(code) => {
                    let code: u16 = code.parse().unwrap();
                    ws.close_with(code, words.next().unwrap_or_default())
                }
            },
            _ => ws.send(message),
        }
    }

    async fn on_close(&mut self, _ws: &WebSocket, close: CloseEvent) {
        self.record(Event::Close {
            code: close.code,
            reason: close.reason,
            was_clean: close.was_clean,
        });
        assert!(self.path != "/close-panic", "{SECRET}");
    }

    async fn on_error(&mut self, _ws: &WebSocket, error: &Error) {
        self.record(Event::Error(error.to_string()));
        assert!(self.path != "/error-panic", "{SECRET}");
    }
}

/// A served [`Recorder`].
pub struct Recorded {
    pub addr: SocketAddr,
    pub served: Served,
    dir: TempDir,
    events: UnboundedReceiver<Event>,
    sockets: UnboundedReceiver<WebSocket>,
    gate: Arc<Semaphore>,
}

impl Recorded {
    pub async fn start() -> Recorded {
        Recorded::start_with(|server| server).await
    }

    pub async fn start_with(configure: impl FnOnce(Server) -> Server) -> Recorded {
        let (event_tx, events) = unbounded_channel();
        let (socket_tx, sockets) = unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let recorder = Recorder {
            events: event_tx,
            sockets: socket_tx,
            gate: gate.clone(),
            path: String::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join(SOCKET);
        let with_socket = |server: Server| configure(server).bind(socket);
        let served = Served::start_with(recorder, with_socket).await;
        Recorded {
            addr: served.addr,
            served,
            dir,
            events,
            sockets,
            gate,
        }
    }

    /// An open connection over a Unix socket. The kernel holds some 200 KiB of
    /// one and not a byte more, so that it is soon and surely full: TCP takes
    /// MiBs, and some more after a while.
    pub async fn open_unix(&self) -> RawClient {
        let path = self.dir.path().join(SOCKET);
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        client
    }

    /// Lets one handler go on that holds.
    pub fn release(&self) {
        self.gate.add_permits(1);
    }

    pub async fn next(&mut self) -> Event {
        let event = timeout(DEADLINE, self.events.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("no event for {DEADLINE:?}"));
        event.expect("no worker is left")
    }

    pub async fn expect(&mut self, wanted: Event) {
        assert_eq!(self.next().await, wanted);
    }

    pub async fn expect_error(&mut self) -> String {
        match self.next().await {
            Event::Error(text) => text,
            other => panic!("wanted an error, got {other:?}"),
        }
    }

    /// Wants `on_close` next, unclean; the reason is ours to word.
    pub async fn expect_unclean(&mut self, wanted: u16) {
        match self.next().await {
            Event::Close {
                code,
                was_clean: false,
                ..
            } if code == wanted => {}
            other => panic!("wanted an unclean close with {wanted}, got {other:?}"),
        }
    }

    /// Wants no event for a moment.
    pub async fn expect_quiet(&mut self) {
        if let Ok(event) = timeout(QUIET, self.events.recv()).await {
            panic!("wanted no event, got {event:?}");
        }
    }

    /// The handle of the next connection that opened.
    pub async fn opened(&mut self) -> WebSocket {
        let socket = timeout(DEADLINE, self.sockets.recv()).await;
        socket.expect("no connection opens").unwrap()
    }

    /// Shuts down; gives the events that nobody asked for yet. Every worker
    /// value is gone then, so no more can come.
    pub async fn finish(mut self) -> Vec<Event> {
        self.served.shut_down().await;
        drop(self.served);
        let mut rest = Vec::new();
        loop {
            match timeout(DEADLINE, self.events.recv()).await {
                Ok(Some(event)) => rest.push(event),
                Ok(None) => return rest,
                Err(_) => panic!("a worker value is still alive after serve returned"),
            }
        }
    }
}

/// Waits until it holds; for what has no event.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(DEADLINE, waiting).await.is_err() {
        panic!("waited {DEADLINE:?}, and it is not so: {what}");
    }
}
