//! Listening, limits on connections, proxies, and shutting down.
//! Does not treat the process around it: that is `process`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use wsworker::prelude::*;
use wsworker::{Address, Listening, broadcast};

use crate::raw::{DEADLINE, Frame, Head, RawClient};
use crate::server::{DRAIN_TIMEOUT, Event, Recorded, Served, eventually, within};

/// Echoes; a request for a page is answered with the address that it came from.
#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        match req.path() {
            "/who" => Ok(Response::text(format!("{:?}", ip(req.remote_addr())))),
            "/slow" => {
                sleep(Duration::from_millis(300)).await;
                Ok(Response::text("at last"))
            }
            _ => Ok(req.upgrade()?.accept()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        if message.as_text() == Some("who?") {
            return ws.send(format!("{:?}", ip(ws.remote_addr())));
        }
        ws.send(message)
    }
}

fn ip(addr: Option<SocketAddr>) -> Option<IpAddr> {
    addr.map(|addr| addr.ip())
}

async fn echoes(client: &mut RawClient) {
    client.send(Frame::text("hello")).await;
    client.expect_text("hello").await;
}

/// The error of a server that cannot listen.
async fn refuses(server: Server) -> String {
    match server.listen().await {
        Ok(listening) => panic!("it listens on {:?}", listening.local_addrs()),
        Err(error) => error.to_string(),
    }
}

// Addresses

#[test]
fn port_0_is_a_free_port_that_local_addrs_tells() {
    within(async || {
        let a = Server::new(Echo)
            .bind("127.0.0.1:0")
            .listen()
            .await
            .unwrap();
        let b = Server::new(Echo)
            .bind("127.0.0.1:0")
            .listen()
            .await
            .unwrap();
        let (a, b) = (tcp(&a, 0), tcp(&b, 0));
        assert_ne!(a.port(), 0);
        assert_ne!(a, b);
        assert_eq!(Address::Tcp(a).to_string(), a.to_string());
    });
}

fn tcp(listening: &Listening, i: usize) -> SocketAddr {
    match &listening.local_addrs()[i] {
        Address::Tcp(addr) => *addr,
        other => panic!("{other} is no TCP address"),
    }
}

#[test]
fn several_addresses_are_served_and_told_in_order() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let server = Server::new(Echo)
            .bind("127.0.0.1:0")
            .bind(any)
            .bind(path.clone());
        let listening = server.listen().await.unwrap();
        let (a, b) = (tcp(&listening, 0), tcp(&listening, 1));
        assert_eq!(listening.local_addrs()[2], Address::Unix(path.clone()));
        assert_eq!(listening.local_addrs().len(), 3);
        tokio::spawn(listening.serve());
        echoes(&mut RawClient::open(a).await).await;
        echoes(&mut RawClient::open(b).await).await;
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        echoes(&mut client).await;
    });
}

#[test]
fn ipv6_is_served() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        // Past the capture of the test harness: a test that did not run is news.
        use std::io::Write;
        let text = b"\n*** THIS MACHINE HAS NO IPv6: ipv6_is_served TESTED NOTHING ***\n";
        std::io::stderr().write_all(text).unwrap();
        return;
    }
    within(async || {
        let server = Server::new(Echo).bind("[::1]:0");
        let listening = server.listen().await.unwrap();
        let addr = tcp(&listening, 0);
        assert!(addr.is_ipv6());
        tokio::spawn(listening.serve());
        let mut client = RawClient::open(addr).await;
        client.send(Frame::text("who?")).await;
        client.expect_text("Some(::1)").await;
    });
}

#[test]
fn a_connection_before_serve_is_served_then() {
    within(async || {
        let server = Server::new(Echo).bind("127.0.0.1:0");
        let listening = server.listen().await.unwrap();
        let mut client = RawClient::connect(tcp(&listening, 0)).await;
        client.send_raw(client.upgrade().encode()).await;
        client.expect_quiet().await;
        tokio::spawn(listening.serve());
        client.read_response().await.assert_upgraded();
        echoes(&mut client).await;
    });
}

#[test]
fn a_wrong_address_is_an_error_that_shows_it() {
    within(async || {
        for text in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "unix:", ""] {
            let error = refuses(Server::new(Echo).bind(text)).await;
            assert!(error.contains(text), "{text:?}: {error}");
        }
    });
}

#[test]
fn a_taken_port_is_an_error_that_says_so() {
    within(async || {
        let server = Served::start(Echo).await;
        let error = refuses(Server::new(Echo).bind(server.addr)).await;
        assert!(error.contains(&server.addr.to_string()), "{error}");
        let text = error.to_lowercase();
        assert!(text.contains("in use") || text.contains("taken"), "{error}");
        // The first goes on.
        echoes(&mut RawClient::open(server.addr).await).await;
    });
}

#[test]
fn a_port_is_free_again_after_serve() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let addr = server.addr;
        let mut client = RawClient::open(addr).await;
        echoes(&mut client).await;
        let closing = tokio::spawn(async move {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_eof().await;
        });
        server.shut_down().await;
        closing.await.unwrap();
        let again = Server::new(Echo).bind(addr).listen().await;
        drop(again.expect("the port is free, TIME_WAIT or not"));
    });
}

// Unix sockets

#[test]
fn a_unix_socket_is_served_and_has_no_remote_addr() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let text = format!("unix:{}", path.display());
        let listening = Server::new(Echo)
            .bind(text.as_str())
            .listen()
            .await
            .unwrap();
        assert_eq!(listening.local_addrs()[0].to_string(), text);
        let handle = listening.handle();
        let serving = tokio::spawn(listening.serve());
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        client.send(Frame::text("who?")).await;
        client.expect_text("None").await;
        client.close().await;
        handle.shutdown();
        serving.await.unwrap().unwrap();
        assert!(!path.exists(), "the socket's file is removed");
    });
}

#[test]
fn a_stale_socket_file_is_replaced() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stale.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "its owner died without removing it");
        let listening = Server::new(Echo).bind(path.clone()).listen().await.unwrap();
        tokio::spawn(listening.serve());
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        echoes(&mut client).await;
    });
}

#[test]
fn a_live_socket_file_is_not_taken() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("live.sock");
        let owner = UnixListener::bind(&path).unwrap();
        let error = refuses(Server::new(Echo).bind(path.clone())).await;
        assert!(error.contains("live.sock"), "{error}");
        let text = error.to_lowercase();
        assert!(text.contains("in use") || text.contains("taken"), "{error}");
        // It still has its name.
        let _probe = std::os::unix::net::UnixStream::connect(&path).unwrap();
        owner.accept().unwrap();
    });
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        std::fs::write(&path, "precious").unwrap();
        let error = refuses(Server::new(Echo).bind(path.clone())).await;
        assert!(error.contains("notes.txt"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    });
}

// Runtimes

#[test]
fn run_inside_a_runtime_is_an_error_that_names_the_way() {
    within(async || {
        let error = wsworker::run(Echo).unwrap_err().to_string();
        assert!(error.contains("Server"), "{error}");
        assert!(error.contains("serve()"), "{error}");
    });
}

fn serves_in(runtime: tokio::runtime::Builder) {
    serves_in_with(runtime, Echo, async |addr| {
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(RawClient::open(addr).await);
        }
        for client in &mut clients {
            echoes(client).await;
        }
        for client in clients {
            client.close().await;
        }
    });
}

/// Serves the worker in a runtime of its own while the test runs in another.
fn serves_in_with(
    mut runtime: tokio::runtime::Builder,
    worker: impl Worker,
    test: impl AsyncFnOnce(SocketAddr) + Send + 'static,
) {
    let (tell, told) = mpsc::channel();
    let server = thread::spawn(move || {
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::new(worker).bind("127.0.0.1:0");
            let listening = server.listen().await.unwrap();
            tell.send((tcp(&listening, 0), listening.handle())).unwrap();
            listening.serve().await
        })
    });
    let (addr, handle) = told.recv_timeout(DEADLINE).unwrap();
    within(async move || test(addr).await);
    handle.shutdown();
    server.join().unwrap().unwrap();
}

#[test]
fn a_runtime_of_one_thread_serves() {
    serves_in(tokio::runtime::Builder::new_current_thread());
}

#[test]
fn a_runtime_of_many_threads_serves() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4);
    serves_in(builder);
}

#[test]
fn serve_without_listen_serves_and_ends_with_its_future() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let serving = tokio::spawn(Server::new(Echo).bind(path.clone()).serve());
        eventually("it listens", || path.exists()).await;
        let mut client = RawClient::connect_unix(&path).await;
        client.handshake(&[]).await;
        echoes(&mut client).await;
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        // Its connections end as after a shutdown.
        client.expect_close(1001).await;
        client.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
    });
}

/// Tells everyone what anyone says.
#[worker]
#[derive(Clone)]
struct Room {
    members: Arc<Mutex<Vec<WebSocket>>>,
}

impl Worker for Room {
    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        self.members.lock().unwrap().push(ws.clone());
        ws.send("welcome")
    }

    async fn on_message(&mut self, _ws: &WebSocket, message: Message) -> Result<()> {
        let members = self.members.lock().unwrap().clone();
        broadcast(&members, message);
        Ok(())
    }

    async fn on_close(&mut self, ws: &WebSocket, _close: CloseEvent) {
        self.members.lock().unwrap().retain(|member| member != ws);
    }
}

#[test]
fn a_room_over_many_threads_loses_nothing_and_keeps_each_senders_order() {
    const MEMBERS: usize = 12;
    const MESSAGES: usize = 200;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4);
    let members = Arc::default();
    serves_in_with(builder, Room { members }, async |addr| {
        let mut clients = Vec::new();
        for _ in 0..MEMBERS {
            let mut client = RawClient::open(addr).await;
            client.expect_text("welcome").await;
            clients.push(client);
        }
        for (who, client) in clients.iter_mut().enumerate() {
            let said = (0..MESSAGES).map(|i| Frame::text(format!("{who} {i}")));
            client.send_all(said).await;
        }
        for client in &mut clients {
            let mut next = [0; MEMBERS];
            for _ in 0..MEMBERS * MESSAGES {
                let frame = client.read_frame().await;
                let (who, i) = frame.text().split_once(' ').unwrap();
                let who: usize = who.parse().unwrap();
                assert_eq!(i, next[who].to_string(), "from {who}");
                next[who] += 1;
            }
        }
        for client in clients {
            client.close().await;
        }
    });
}

#[test]
fn members_may_come_and_go_while_others_talk() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4);
    let members = Arc::default();
    serves_in_with(builder, Room { members }, async |addr| {
        let mut stays = RawClient::open(addr).await;
        stays.expect_text("welcome").await;
        for round in 0..100 {
            let mut goes = RawClient::open(addr).await;
            goes.send(Frame::text(format!("round {round}"))).await;
            if round % 2 == 0 {
                // Gone with unread messages, or with none.
                goes.expect_text("welcome").await;
            }
            stays.expect_text(&format!("round {round}")).await;
        }
        stays.close().await;
    });
}

// Limits on connections

/// Whether a new connection gets as far as a 101.
async fn is_admitted(addr: SocketAddr, client: &mut RawClient, extra: &[(&str, &str)]) -> bool {
    let mut head = Head::upgrade("/", &addr.to_string());
    for (name, value) in extra {
        head = head.with(name, value);
    }
    if !client.writer.try_send(head.encode()).await {
        return false;
    }
    let first = client.reader.read_one_byte_or_end();
    match timeout(Duration::from_millis(300), first).await {
        // The status line has come: "HTTP/1.1 101".
        Ok(Some(_)) => {
            let mut line = Vec::new();
            while line.len() < 11 {
                line.extend(client.reader.read_one_byte_or_end().await);
            }
            line.ends_with(b"101")
        }
        // Closed, or left waiting.
        Ok(None) | Err(_) => false,
    }
}

/// Connects until it is let in.
async fn admitted_at_last(addr: SocketAddr) {
    let begun = Instant::now();
    loop {
        let mut client = RawClient::connect(addr).await;
        if is_admitted(addr, &mut client, &[]).await {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "nobody is let in again");
    }
}

#[test]
fn connections_over_the_limit_wait_or_are_refused() {
    within(async || {
        let server = Served::start_with(Echo, |s| s.max_connections(2)).await;
        let addr = server.addr;
        let mut a = RawClient::open(addr).await;
        let mut b = RawClient::open(addr).await;
        assert_eq!(server.handle.connections(), 2);
        let mut third = RawClient::connect(addr).await;
        assert!(!is_admitted(addr, &mut third, &[]).await);
        drop(third);
        echoes(&mut a).await;
        echoes(&mut b).await;
        a.close().await;
        admitted_at_last(addr).await;
    });
}

#[test]
fn connections_of_one_address_are_limited_and_others_are_not() {
    within(async || {
        let limit = |s: Server| s.max_connections_per_address(2);
        let server = Served::start_with(Echo, limit).await;
        let addr = server.addr;
        let a = RawClient::open(addr).await;
        let mut b = RawClient::open(addr).await;
        let mut third = RawClient::connect(addr).await;
        assert!(!is_admitted(addr, &mut third, &[]).await);
        drop(third);
        if cfg!(target_os = "linux") {
            let other = IpAddr::from([127, 0, 0, 2]);
            let mut other = RawClient::connect_from(other, addr).await;
            assert!(is_admitted(addr, &mut other, &[]).await);
        }
        echoes(&mut b).await;
        a.close().await;
        admitted_at_last(addr).await;
    });
}

#[test]
fn connections_are_counted() {
    within(async || {
        let server = Served::start(Echo).await;
        assert_eq!(server.handle.connections(), 0);
        let a = RawClient::open(server.addr).await;
        let b = RawClient::open(server.addr).await;
        assert_eq!(server.handle.connections(), 2);
        a.close().await;
        drop(b);
        let handle = server.handle.clone();
        eventually("none is left", || handle.connections() == 0).await;
    });
}

#[test]
fn many_connections_at_once_are_all_served() {
    within(async || {
        let server = Served::start(Echo).await;
        let mut clients = Vec::new();
        for _ in 0..300 {
            let mut client = RawClient::connect(server.addr).await;
            client.send_raw(client.upgrade().encode()).await;
            clients.push(client);
        }
        for client in &mut clients {
            client.read_response().await.assert_upgraded();
            client.send(Frame::text("all")).await;
        }
        for client in &mut clients {
            client.expect_text("all").await;
        }
    });
}

// Proxies

async fn who(trusted: &'static [&'static str], headers: &[(&str, &str)]) -> String {
    let trust = |s: Server| s.trusted_proxies(trusted.iter().copied());
    let server = Served::start_with(Echo, trust).await;
    let mut client = RawClient::connect(server.addr).await;
    let mut head = Head::get("/who", client.host());
    for (name, value) in headers {
        head = head.with(name, value);
    }
    client.send_raw(head.encode()).await;
    let told = client.read_response().await.text().to_owned();
    // The socket says the same.
    let mut client = RawClient::connect(server.addr).await;
    client.handshake(headers).await;
    client.send(Frame::text("who?")).await;
    client.expect_text(&told).await;
    told
}

#[test]
fn forwarded_addresses_are_not_believed_by_default() {
    within(async || {
        let headers = [
            ("X-Forwarded-For", "203.0.113.9"),
            ("Forwarded", "for=203.0.113.9"),
        ];
        assert_eq!(who(&[], &headers).await, "Some(127.0.0.1)");
        assert_eq!(who(&["10.0.0.0/8"], &headers).await, "Some(127.0.0.1)");
    });
}

#[test]
fn a_trusted_proxys_x_forwarded_for_is_the_remote_addr() {
    within(async || {
        for trusted in [&["127.0.0.1"][..], &["10.0.0.0/8", "127.0.0.0/8"]] {
            let headers = [("X-Forwarded-For", "203.0.113.9")];
            assert_eq!(who(trusted, &headers).await, "Some(203.0.113.9)");
        }
    });
}

#[test]
fn a_trusted_proxys_forwarded_is_the_remote_addr() {
    within(async || {
        for (value, wanted) in [
            ("for=203.0.113.9;proto=https", "Some(203.0.113.9)"),
            ("For=\"203.0.113.9:4711\"", "Some(203.0.113.9)"),
            (
                "proto=http;for=\"[2001:db8:cafe::17]:4711\"",
                "Some(2001:db8:cafe::17)",
            ),
        ] {
            let headers = [("Forwarded", value)];
            assert_eq!(who(&["127.0.0.1"], &headers).await, wanted);
        }
    });
}

#[test]
fn only_what_trusted_proxies_added_is_believed() {
    within(async || {
        // What the client wrote itself stands on the left.
        for (value, wanted) in [
            ("6.6.6.6, 203.0.113.9", "Some(203.0.113.9)"),
            ("6.6.6.6, 203.0.113.9, 10.1.2.3", "Some(203.0.113.9)"),
        ] {
            let headers = [("X-Forwarded-For", value)];
            let told = who(&["127.0.0.0/8", "10.0.0.0/8"], &headers).await;
            assert_eq!(told, wanted, "{value}");
        }
        let two_lines = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-For", "203.0.113.9"),
        ];
        assert_eq!(who(&["127.0.0.1"], &two_lines).await, "Some(203.0.113.9)");
    });
}

#[test]
fn a_trusted_proxy_that_says_nothing_readable_is_the_remote_addr() {
    within(async || {
        for headers in [
            &[][..],
            &[("X-Forwarded-For", "not an address")],
            &[("Forwarded", "for=unknown")],
            &[("Forwarded", "for=_hidden")],
        ] {
            assert_eq!(who(&["127.0.0.1"], headers).await, "Some(127.0.0.1)");
        }
    });
}

#[test]
fn a_wrong_proxy_is_an_error_that_shows_it() {
    within(async || {
        for text in ["me", "10.0.0.0/33", "300.1.1.1"] {
            let server = Server::new(Echo)
                .bind("127.0.0.1:0")
                .trusted_proxies([text]);
            let error = refuses(server).await;
            assert!(error.contains(text), "{error}");
        }
    });
}

#[test]
fn the_limit_of_an_address_counts_forwarded_ones() {
    within(async || {
        let configure = |s: Server| {
            s.trusted_proxies(["127.0.0.1"])
                .max_connections_per_address(1)
        };
        let server = Served::start_with(Echo, configure).await;
        let addr = server.addr;
        let mut held = Vec::new();
        for (from, wanted) in [
            ("203.0.113.1", true),
            ("203.0.113.2", true),
            ("203.0.113.1", false),
            ("203.0.113.3", true),
        ] {
            let mut client = RawClient::connect(addr).await;
            let extra = [("X-Forwarded-For", from)];
            let admitted = is_admitted(addr, &mut client, &extra).await;
            assert_eq!(admitted, wanted, "{from}");
            held.push(client);
        }
    });
}

#[test]
fn a_unix_socket_may_be_a_trusted_proxy() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("echo.sock");
        let server = Server::new(Echo)
            .bind(path.clone())
            .trusted_proxies(["unix"]);
        tokio::spawn(server.listen().await.unwrap().serve());
        let mut client = RawClient::connect_unix(&path).await;
        let extra = [("X-Forwarded-For", "203.0.113.9")];
        client.handshake(&extra).await;
        client.send(Frame::text("who?")).await;
        client.expect_text("Some(203.0.113.9)").await;
    });
}

// Settings

#[test]
fn a_setting_that_cannot_work_is_an_error() {
    within(async || {
        let listening = Server::new(Echo)
            .bind("127.0.0.1:0")
            .protocols(["not a token"])
            .listen()
            .await;
        let error = listening.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("not a token"), "{error}");
    });
}

// Shutting down

#[test]
fn shutdown_says_1001_to_all_and_serve_returns() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(RawClient::open(server.addr).await);
            server.expect(Event::Open).await;
        }
        let begun = Instant::now();
        server.served.handle.shutdown();
        for mut client in clients {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
            server.expect(Event::clean(1001, "")).await;
        }
        assert_eq!(server.finish().await, []);
        assert!(begun.elapsed() < DRAIN_TIMEOUT, "it waited for nobody");
    });
}

#[test]
fn no_connection_is_taken_after_shutdown() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let addr = server.addr;
        // It stays, so that the server still drains.
        let mut held = RawClient::open(addr).await;
        server.handle.shutdown();
        held.expect_close(1001).await;
        let connect = timeout(DEADLINE, TcpStream::connect(addr)).await.unwrap();
        assert!(connect.is_err(), "a connection is taken while draining");
        server.returned().await;
        let connect = TcpStream::connect(addr).await;
        assert!(connect.is_err(), "a connection is taken after serve");
    });
}

#[test]
fn a_peer_that_never_answers_is_dropped_at_the_drain_deadline() {
    within(async || {
        let mut server = Recorded::start_with(|s| {
            s.close_timeout(Duration::from_secs(10))
                .drain_timeout(Duration::from_millis(300))
        })
        .await;
        let mut client = RawClient::open(server.addr).await;
        server.expect(Event::Open).await;
        let begun = Instant::now();
        server.served.handle.shutdown();
        client.expect_close(1001).await;
        client.expect_eof().await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1000), "{took:?}");
        assert!(took > Duration::from_millis(200), "{took:?}");
    });
}

#[test]
fn a_handler_may_end_its_message_while_draining() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        server.served.handle.shutdown();
        sleep(Duration::from_millis(100)).await;
        server.release();
        let mut frame = client.read_frame().await;
        if frame.opcode == crate::raw::TEXT {
            frame = client.read_frame().await;
        }
        assert_eq!(frame.close_code(), Some(1001));
        client.send(Frame::close(1001, "")).await;
        client.expect_eof().await;
        let rest = server.finish().await;
        let closes = rest.iter().filter(|e| matches!(e, Event::Close { .. }));
        assert_eq!(closes.count(), 1, "{rest:?}");
    });
}

#[test]
fn a_handler_that_never_ends_does_not_hold_up_shutdown() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        let begun = Instant::now();
        server.served.handle.shutdown();
        client.expect_close(1001).await;
        client.expect_eof().await;
        server.served.returned().await;
        let took = begun.elapsed();
        assert!(took < DRAIN_TIMEOUT * 2, "{took:?}");
        // This process lives on, and the handler may end after all.
        server.release();
        let rest = server.finish().await;
        let closes = rest.iter().filter(|e| matches!(e, Event::Close { .. }));
        assert_eq!(closes.count(), 1, "on_close is once all the same: {rest:?}");
    });
}

#[test]
fn a_request_begun_before_shutdown_is_answered() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::get("/slow", client.host());
        client.send_raw(head.encode()).await;
        sleep(Duration::from_millis(100)).await;
        server.handle.shutdown();
        let answer = client.read_response().await;
        assert_eq!((answer.status, answer.text()), (200, "at last"));
        client.expect_eof().await;
        server.returned().await;
    });
}

#[test]
fn idle_and_half_open_requests_do_not_hold_up_shutdown() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let mut idle = RawClient::connect(server.addr).await;
        idle.send_raw(Head::get("/who", idle.host()).encode()).await;
        idle.read_response().await;
        let silent = RawClient::connect(server.addr).await;
        let mut half = RawClient::connect(server.addr).await;
        half.send_raw("GET / HT").await;
        sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        server.shut_down().await;
        let took = begun.elapsed();
        assert!(
            took < DRAIN_TIMEOUT + Duration::from_millis(500),
            "{took:?}"
        );
        idle.expect_eof().await;
        drop((silent, half));
    });
}

#[test]
fn shutdown_without_connections_is_at_once_and_may_be_said_twice() {
    within(async || {
        let mut server = Served::start(Echo).await;
        let handle = server.handle.clone();
        handle.shutdown();
        handle.shutdown();
        let begun = Instant::now();
        server.returned().await;
        assert!(begun.elapsed() < DRAIN_TIMEOUT / 2);
        handle.shutdown();
        assert_eq!(handle.connections(), 0);
    });
}

#[test]
fn shutdown_before_serve_is_not_lost() {
    within(async || {
        let server = Server::new(Echo).bind("127.0.0.1:0");
        let listening = server.listen().await.unwrap();
        listening.handle().shutdown();
        let served = timeout(DEADLINE, listening.serve()).await;
        served.expect("serve does not return").unwrap();
    });
}
