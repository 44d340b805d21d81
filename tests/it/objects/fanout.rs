//! What many sockets get, and in which order: over TCP, on a thread that drives its
//! runtime alone as those of `Server::run` do, and on several that share one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex};
use std::thread;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wsworker::__private::settle_here;
use wsworker::{Slow, WebSocketPair};

use super::*;
use crate::raw::{CLOSE, Frame, Head, RawClient, encode_all};
use crate::server::{Served, on_several_threads, within, within_time};

/// Numbers all that it sends, and notes what each of its sockets is to get.
#[durable_object]
struct Crowd {
    ctx: ObjectContext,
    crowd: String,
    sent: u32,
}

/// Of each crowd, what each of its sockets is to get.
static NOTED: LazyLock<Mutex<HashMap<String, Numbers>>> = LazyLock::new(Mutex::default);

/// By the sockets' names.
type Numbers = HashMap<String, Vec<u32>>;

impl DurableObject for Crowd {
    async fn new(ctx: ObjectContext, env: Env) -> Result<Self> {
        Ok(Self {
            ctx,
            crowd: env.var("CROWD")?.to_owned(),
            sent: 0,
        })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        let name = req.path().trim_start_matches('/').to_owned();
        let upgrade = req.upgrade()?;
        let (client, server) = WebSocketPair::new();
        self.ctx.accept(server, [name])?;
        Ok(upgrade.respond(client))
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let words: Vec<_> = message.as_text().unwrap().split(' ').collect();
        let sockets = || self.ctx.sockets();
        let (text, number) = (format!("{:0words$}", self.sent, words = 8), self.sent);
        let (to, text) = match *words {
            ["all"] => (sockets(), text),
            ["others"] => (sockets().except(ws), text),
            ["one", name] => (sockets().tagged(name), text),
            ["large"] => (sockets(), text.repeat(5000)),
            ["stored"] => {
                self.ctx.storage().put("number", &number)?;
                (sockets(), text)
            }
            ["waits"] => {
                tokio::task::yield_now().await;
                (sockets(), text)
            }
            ["back"] => {
                self.note(ws, number)?;
                self.sent += 1;
                return ws.send(text);
            }
            ["close"] => return ws.close_with(4000, "as asked"),
            _ => return Err(Error::new(format!("no such command: {words:?}"))),
        };
        for ws in to.iter() {
            self.note(&ws, number)?;
        }
        self.sent += 1;
        to.broadcast(text);
        Ok(())
    }
}

impl Crowd {
    fn note(&self, ws: &WebSocket, number: u32) -> Result<()> {
        let name = self.ctx.tags(ws)?.remove(0);
        let mut noted = NOTED.lock().unwrap();
        let numbers = noted.entry(self.crowd.clone()).or_default();
        numbers.entry(name).or_default().push(number);
        Ok(())
    }
}

#[worker(objects(Crowd))]
#[derive(Clone)]
struct Crowds;

impl Worker for Crowds {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let crowd = env.durable_object::<Crowd>().get_by_name("crowd");
        crowd.fetch(req).await
    }
}

async fn serve(crowd: &str, max_buffered: usize) -> Served {
    serve_with(crowd, |server| server.max_buffered(max_buffered)).await
}

async fn serve_with(crowd: &str, configure: impl FnOnce(Server) -> Server) -> Served {
    Served::start_with(Crowds, |server| {
        let server = server.storage(wsworker::storage::MemoryStorage::new());
        // One that reads late hears of its Close late.
        let server = server.close_timeout(Duration::from_secs(60));
        configure(server).var("CROWD", crowd)
    })
    .await
}

/// Everybody in the crowd sends a lot at once, and then asks to be closed.
async fn converse() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let served = serve(&seed.to_string(), 64 << 20).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let names: Vec<_> = (0..6).map(|n| format!("member{n}")).collect();
    let mut clients = Vec::new();
    for name in &names {
        clients.push(RawClient::open_at(served.addr, &format!("/{name}")).await);
    }
    let mut talking = JoinSet::new();
    for (name, mut client) in names.iter().cloned().zip(clients) {
        let commands = ["all", "others", "one", "large", "stored", "waits", "back"];
        let mut bursts = Vec::new();
        for _ in 0..rng.random_range(1..6) {
            let mut one = || match *commands.choose(&mut rng).unwrap() {
                "one" => format!("one {}", names.choose(&mut rng).unwrap()),
                other => other.to_owned(),
            };
            let burst: Vec<_> = (0..40).map(|_| Frame::text(one())).collect();
            bursts.push(encode_all(burst));
        }
        talking.spawn(async move {
            for burst in bursts {
                client.send_raw(burst).await;
                tokio::task::yield_now().await;
            }
            (name, client)
        });
    }
    let mut clients = talking.join_all().await;
    for (_, client) in &mut clients {
        client.send(Frame::text("close")).await;
    }
    let mut got = Numbers::new();
    for (name, mut client) in clients {
        let numbers: &mut Vec<u32> = got.entry(name).or_default();
        loop {
            let frame = client.read_frame().await;
            if frame.opcode == CLOSE {
                break;
            }
            let text = frame.text();
            let number = text[..8].parse().unwrap();
            assert!(text == format!("{number:08}").repeat(text.len() / 8));
            numbers.push(number);
        }
    }
    // One that asked to be closed is in nobody's list any more.
    let noted = NOTED.lock().unwrap().remove(&seed.to_string());
    assert_eq!(got, noted.unwrap_or_default());
}

#[test]
fn each_gets_what_is_for_it_in_the_order_in_which_it_was_sent() {
    within_time(Duration::from_secs(60), async || {
        let _settled = settle_here();
        for _ in 0..10 {
            converse().await;
        }
    });
}

#[test]
fn each_gets_what_is_for_it_in_its_order_over_several_threads() {
    within_time(Duration::from_secs(60), async || {
        let talking = async {
            for _ in 0..10 {
                converse().await;
            }
        };
        on_several_threads(talking).await;
    });
}

#[test]
fn who_does_not_read_is_cut_and_the_others_get_everything() {
    within(async || {
        let _settled = settle_here();
        let served = serve("slow", 256 << 10).await;
        let mut slow = RawClient::connect_narrow(served.addr).await;
        slow.handshake_at("/slow", &[]).await;
        let mut quick = RawClient::open_at(served.addr, "/quick").await;
        for number in 0..250 {
            quick.send(Frame::text("large")).await;
            let text = format!("{number:08}").repeat(5000);
            quick.expect_text(&text).await;
        }
        let mut numbers = 0..;
        loop {
            let frame = slow.read_frame().await;
            if frame.opcode == CLOSE {
                assert_eq!(frame.close_code(), Some(1013));
                break;
            }
            let text = format!("{:08}", numbers.next().unwrap()).repeat(5000);
            assert_eq!(frame.text(), text, "a frame is whole");
        }
        let got = numbers.next().unwrap();
        assert!(got < 200, "{got} messages of 40 kB were kept for it");
    });
}

#[test]
fn who_does_not_read_misses_messages_and_stays_if_told_to() {
    within(async || {
        let _settled = settle_here();
        let dropping = |server: Server| server.max_buffered(256 << 10).slow(Slow::Drop);
        let served = serve_with("dropping", dropping).await;
        let mut slow = RawClient::connect_narrow(served.addr).await;
        slow.handshake_at("/slow", &[]).await;
        let mut quick = RawClient::open_at(served.addr, "/quick").await;
        for number in 0..250 {
            quick.send(Frame::text("large")).await;
            let text = format!("{number:08}").repeat(5000);
            quick.expect_text(&text).await;
        }
        slow.send(Frame::text("close")).await;
        let mut numbers = Vec::new();
        loop {
            let frame = slow.read_frame().await;
            if frame.opcode == CLOSE {
                assert_eq!(frame.close_code(), Some(4000));
                break;
            }
            let number = frame.text()[..8].parse::<u32>().unwrap();
            assert_eq!(frame.text(), format!("{number:08}").repeat(5000));
            numbers.push(number);
        }
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.len() < 200, "{} were kept for it", numbers.len());
    });
}

#[test]
fn who_reads_late_gets_everything_in_order() {
    within(async || {
        let _settled = settle_here();
        let served = serve("late", 64 << 20).await;
        let mut late = RawClient::connect_narrow(served.addr).await;
        late.handshake_at("/late", &[]).await;
        let mut quick = RawClient::open_at(served.addr, "/quick").await;
        let text = |number: u32| {
            let times = if number.is_multiple_of(3) { 5000 } else { 1 };
            format!("{number:08}").repeat(times)
        };
        for number in 0..300 {
            let command = match number % 3 {
                0 => "large",
                1 => "one late",
                _ => "all",
            };
            quick.send(Frame::text(command)).await;
            if number % 3 != 1 {
                quick.expect_text(&text(number)).await;
            }
        }
        for number in 0..300 {
            late.expect_text(&text(number)).await;
        }
    });
}

/// With a system call for each message it would come in pieces now and then.
#[test]
fn what_an_event_sends_a_member_comes_in_one_piece() {
    within(async || {
        let _settled = settle_here();
        let served = Served::start_with(Bursts, |server| {
            server.storage(wsworker::storage::MemoryStorage::new())
        });
        let served = served.await;
        let whole: Vec<u8> = (0..BURST)
            .flat_map(|n| [0x81, 2, b'0' + n / 10, b'0' + n % 10])
            .collect();
        // On threads of their own, which read meanwhile.
        let (read, mut pieces) = mpsc::unbounded_channel();
        for _ in 0..10 {
            let (addr, read) = (served.addr, read.clone());
            thread::spawn(move || {
                let mut socket = opened(addr);
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = socket.read(&mut bytes) {
                    read.send(bytes[..count].to_vec()).unwrap();
                }
            });
            assert_eq!(pieces.recv().await.unwrap(), b"\x81\x05hello");
        }
        let mut asks = RawClient::open(served.addr).await;
        asks.expect_text("hello").await;
        for _ in 0..50 {
            asks.send(Frame::text("burst")).await;
            for _ in 0..10 {
                assert_eq!(pieces.recv().await.unwrap(), whole);
            }
        }
    });
}

/// A WebSocket of no runtime's, behind the response to its request.
fn opened(addr: SocketAddr) -> std::net::TcpStream {
    let mut socket = std::net::TcpStream::connect(addr).unwrap();
    let head = Head::upgrade("/", &addr.to_string());
    socket.write_all(&head.encode()).unwrap();
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    socket
}

const BURST: u8 = 40;

/// Broadcasts many messages in each event, with some time between them.
#[durable_object]
struct Burst(ObjectContext);

impl DurableObject for Burst {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self(ctx))
    }

    async fn on_open(&mut self, ws: &WebSocket, _: &Request) -> Result<()> {
        ws.send("hello")
    }

    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        for n in 0..BURST {
            let others = self.0.sockets().except(ws);
            others.broadcast(format!("{n:02}"));
            // It could have left meanwhile.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

#[worker(objects(Burst))]
#[derive(Clone)]
struct Bursts;

impl Worker for Bursts {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let burst = env.durable_object::<Burst>().get_by_name("burst");
        burst.fetch(req).await
    }
}
