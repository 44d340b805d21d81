//! The `counter` example: its answers, and that neither a kill -9 nor a disk that does not
//! take what is written loses one of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wsworker::Event;

use super::example;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

fn start(data: &Path) -> (Program, SocketAddr) {
    let data = data.to_str().unwrap();
    let mut counter = Program::start(example("counter"), &[("WSWORKER_DATA", data)]);
    let addr = counter.addr();
    (counter, addr)
}

#[test]
fn it_counts_each_name_and_keeps_the_counts_over_a_restart() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (counter, addr) = start(data.path());
        let mut client = RawClient::open_at(addr, "/counter/a").await;
        for (sent, answer) in [
            ("get", "0"),
            ("incr", "1"),
            ("incr", "2"),
            ("get", "2"),
            ("INCR", r#"{"error":"send incr or get"}"#),
            ("get", "2"),
        ] {
            client.send(Frame::text(sent)).await;
            client.expect_text(answer).await;
        }
        let mut other = RawClient::open_at(addr, "/counter/b").await;
        other.send(Frame::text("get")).await;
        other.expect_text("0").await;
        counter.signal(Signal::TERM);
        let (status, _) = counter.ended();
        assert!(status.success());

        let (_counter, addr) = start(data.path());
        let mut plain = RawClient::connect(addr).await;
        assert_eq!(plain.get("/counter/a").await.text(), "2\n");
        assert_eq!(plain.get("/counter/b").await.text(), "0\n");
        assert_eq!(plain.get("/elsewhere").await.status, 404);
    });
}

#[test]
fn a_name_is_decoded_and_one_that_cannot_be_is_400() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_counter, addr) = start(data.path());
        let mut client = RawClient::open_at(addr, "/counter/caf%C3%A9%2Fbar").await;
        client.send(Frame::text("incr")).await;
        client.expect_text("1").await;
        let mut plain = RawClient::connect(addr).await;
        let same = plain.get("/counter/c%61f%c3%a9%2fbar").await;
        assert_eq!(same.text(), "1\n");
        // A slash that is not escaped is the path's.
        assert_eq!(plain.get("/counter/caf%C3%A9/bar").await.status, 404);
        for (path, wanted) in [
            ("/counter/%zz", "'%zz' in the path has a '%' without"),
            ("/counter/a%f", "'a%f' in the path has a '%' without"),
            ("/counter/%ff", "'%ff' in the path is not UTF-8"),
        ] {
            let refused = plain.get(path).await;
            assert_eq!(refused.status, 400, "{path}");
            assert!(refused.text().starts_with(wanted), "{}", refused.text());
        }
        assert_eq!(plain.get("/counter/").await.status, 404);
    });
}

#[test]
fn a_second_process_on_the_same_data_says_so_and_ends() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_first, _) = start(data.path());
        let env = [("WSWORKER_DATA", data.path().to_str().unwrap())];
        let second = Program::start(example("counter"), &env);
        let (status, said) = second.ended();
        assert!(!status.success());
        assert!(said.contains("in use"), "{said}");
    });
}

/// What one client was told, and whether its last increment was answered.
struct Told {
    name: usize,
    counts: Vec<u64>,
    unanswered: bool,
    /// The code of the Close, if one came.
    closed: Option<u16>,
    /// There was no WebSocket.
    refused: bool,
}

impl Told {
    fn of(name: usize) -> Self {
        Self {
            name,
            counts: Vec::new(),
            unanswered: false,
            closed: None,
            refused: false,
        }
    }
}

#[test]
fn no_answered_count_is_lost_or_given_twice_over_kills() {
    // `.ci/run` asks for hundreds.
    let (rounds, mut random) = rounds(8);
    let data = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut books = Books::default();
    for round in 0..rounds {
        let (counter, addr) = start(data.path());
        let life = Duration::from_micros(random.random_range(0..100_000));
        let told = runtime.block_on(async {
            let mut clients = JoinSet::new();
            let busy = Arc::new(Notify::new());
            for client in 0..CLIENTS {
                clients.spawn(count(addr, client % NAMES, busy.clone()));
            }
            // In the middle of its work, however slow the machine is.
            busy.notified().await;
            sleep(life).await;
            counter.signal(Signal::KILL);
            clients.join_all().await
        });
        drop(counter);
        books.note(told);
        let (_counter, addr) = start(data.path());
        runtime.block_on(books.check(addr, round));
    }
    let all = books.answers();
    println!("{all} answered over {rounds} kills");
    assert!(all > rounds, "{all} answered over {rounds} kills");
}

/// How many rounds are wanted, if not the usual number, and by which seed.
fn rounds(usual: usize) -> (usize, StdRng) {
    let rounds = std::env::var("CRASH_ROUNDS").map_or(usual, |n| n.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |n| n.parse().unwrap());
    println!("SEED={seed}");
    (rounds, StdRng::seed_from_u64(seed))
}

/// While its files may not grow, commits fail: each client that loses one by it gets 1011
/// and nothing else, reads go on, and the next increment works when the files may grow
/// again. In some rounds it is killed in between.
#[cfg(target_os = "linux")]
#[test]
fn no_answered_count_is_lost_or_given_twice_when_commits_fail() {
    let (rounds, mut random) = rounds(8);
    let data = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut books = Books::default();
    let (mut counter, mut addr) = start_limited(data.path());
    let mut failed = 0;
    for round in 0..rounds {
        let killed = random.random_ratio(1, 4);
        // Nothing at all, or so much of a file, perhaps in the middle of a write.
        let limit = match random.random() {
            true => 0,
            false => random.random_range(0..256 << 10),
        };
        let life = Duration::from_micros(random.random_range(0..50_000));
        let told = runtime.block_on(async {
            let mut clients = JoinSet::new();
            let busy = Arc::new(Notify::new());
            for client in 0..CLIENTS {
                clients.spawn(count(addr, client % NAMES, busy.clone()));
            }
            busy.notified().await;
            sleep(life).await;
            limit_files(&counter, Some(limit));
            // A limit beyond the log's end may be reached late, or never.
            sleep(Duration::from_millis(50)).await;
            limit_files(&counter, Some(0));
            if killed {
                counter.signal(Signal::KILL);
            }
            clients.join_all().await
        });
        for told in &told {
            let failed_so = told.refused || told.closed == Some(1011);
            assert!(killed || failed_so, "{:?}", told.closed);
            failed += usize::from(told.closed == Some(1011));
        }
        books.note(told);
        if killed {
            drop(counter);
            (counter, addr) = start_limited(data.path());
        } else {
            runtime.block_on(fails_and_reads(addr, &mut books));
            limit_files(&counter, None);
        }
        runtime.block_on(books.check(addr, round));
        // The cause is gone: the next increment is the next count.
        let told = runtime.block_on(one_more(addr));
        books.note(vec![told]);
        runtime.block_on(books.check(addr, round));
    }
    let all = books.answers();
    println!("{all} answered, {failed} closed with 1011");
    assert!(all > rounds);
}

/// As `start`; a write that is too far into a file is an error, and not the process's end.
#[cfg(target_os = "linux")]
fn start_limited(data: &Path) -> (Program, SocketAddr) {
    let counter = example("counter");
    let mut command = std::process::Command::new("sh");
    // What is ignored stays so.
    command.args(["-c", "trap '' XFSZ; exec \"$0\""]);
    command.arg(counter.get_program());
    let env = [("WSWORKER_DATA", data.to_str().unwrap())];
    let mut counter = Program::start(command, &env);
    let addr = counter.addr();
    (counter, addr)
}

/// Writes beyond so many bytes of a file fail from now on.
#[cfg(target_os = "linux")]
fn limit_files(program: &Program, bytes: Option<u64>) {
    use rustix::process::{Resource, Rlimit, prlimit};
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(program.pid()), Resource::Fsize, limit).unwrap();
}

/// While commits fail: `incr` is answered by 1011 alone, `get` by the last durable count.
#[cfg(target_os = "linux")]
async fn fails_and_reads(addr: SocketAddr, books: &mut Books) {
    let mut plain = RawClient::connect(addr).await;
    let before = plain.get("/counter/0").await.text().to_owned();
    for _ in 0..3 {
        let mut client = RawClient::open_at(addr, "/counter/0").await;
        client.send(Frame::text("incr")).await;
        client.expect_close(1011).await;
        *books.unanswered.entry(0).or_default() += 1;
        assert_eq!(plain.get("/counter/0").await.text(), before);
    }
    let mut client = RawClient::open_at(addr, "/counter/0").await;
    client.send(Frame::text("get")).await;
    client.expect_text(before.trim()).await;
    client.send(Frame::text("more")).await;
    client.expect_text(r#"{"error":"send incr or get"}"#).await;
}

/// One increment, on a new connection.
#[cfg(target_os = "linux")]
async fn one_more(addr: SocketAddr) -> Told {
    let mut plain = RawClient::connect(addr).await;
    let before: u64 = plain.get("/counter/0").await.text().trim().parse().unwrap();
    let mut client = RawClient::open_at(addr, "/counter/0").await;
    client.send(Frame::text("incr")).await;
    client.expect_text(&(before + 1).to_string()).await;
    Told {
        counts: vec![before + 1],
        ..Told::of(0)
    }
}

/// What all clients were told.
#[derive(Default)]
struct Books {
    answered: HashMap<usize, Vec<u64>>,
    unanswered: HashMap<usize, u64>,
}

impl Books {
    fn note(&mut self, told: Vec<Told>) {
        for told in told {
            let answered = self.answered.entry(told.name).or_default();
            answered.extend(told.counts);
            *self.unanswered.entry(told.name).or_default() += u64::from(told.unanswered);
        }
    }

    fn answers(&self) -> usize {
        self.answered.values().map(Vec::len).sum()
    }

    /// No count twice, none lost, and none that nobody asked for.
    async fn check(&mut self, addr: SocketAddr, round: usize) {
        let mut plain = RawClient::connect(addr).await;
        for name in 0..NAMES {
            let counts = self.answered.entry(name).or_default();
            counts.sort_unstable();
            let all = counts.len();
            counts.dedup();
            assert_eq!(counts.len(), all, "round {round}: a count was given twice");
            let stored = plain.get(&format!("/counter/{name}")).await;
            let stored: u64 = stored.text().trim().parse().unwrap();
            let highest = counts.last().copied().unwrap_or(0);
            assert!(
                stored >= highest,
                "round {round}: {highest} was lost, there is {stored}"
            );
            let most = all as u64 + self.unanswered.get(&name).unwrap_or(&0);
            assert!(
                stored <= most,
                "round {round}: {stored} stored, {most} asked for"
            );
        }
    }
}

/// Increments until the server is gone.
async fn count(addr: SocketAddr, name: usize, busy: Arc<Notify>) -> Told {
    let mut told = Told::of(name);
    let url = format!("ws://{addr}/counter/{name}");
    let Ok(response) = wsworker::fetch(&*url).await else {
        return told;
    };
    let Ok(socket) = response.into_websocket() else {
        // It came when commits failed already: a 500.
        told.refused = true;
        return told;
    };
    let mut events = socket.accept();
    while events.send("incr").is_ok() {
        told.unanswered = true;
        match events.next().await {
            Some(Event::Message(count)) => {
                told.counts.push(count.as_text().unwrap().parse().unwrap());
                told.unanswered = false;
                busy.notify_one();
            }
            Some(Event::Close(close)) => {
                told.closed = Some(close.code);
                break;
            }
            _ => break,
        }
    }
    told
}

const CLIENTS: usize = 32;
const NAMES: usize = 5;
