//! The `counter` example: its answers, and that a kill -9 loses none of them.

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
}

#[test]
fn no_answered_count_is_lost_or_given_twice_over_kills() {
    // `.ci/run` asks for hundreds.
    let rounds = std::env::var("CRASH_ROUNDS").map_or(8, |n| n.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |n| n.parse().unwrap());
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let data = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut answered: HashMap<usize, Vec<u64>> = HashMap::new();
    let mut unanswered: HashMap<usize, u64> = HashMap::new();
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
        for told in told {
            answered.entry(told.name).or_default().extend(told.counts);
            *unanswered.entry(told.name).or_default() += u64::from(told.unanswered);
        }
        let (_counter, addr) = start(data.path());
        runtime.block_on(async {
            let mut plain = RawClient::connect(addr).await;
            for name in 0..NAMES {
                let counts = answered.entry(name).or_default();
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
                let most = all as u64 + unanswered.get(&name).unwrap_or(&0);
                assert!(
                    stored <= most,
                    "round {round}: {stored} stored, {most} asked for"
                );
            }
        });
    }
    let all: usize = answered.values().map(Vec::len).sum();
    println!("{all} answered over {rounds} kills");
    assert!(all > rounds, "{all} answered over {rounds} kills");
}

/// Increments until the server is gone.
async fn count(addr: SocketAddr, name: usize, busy: Arc<Notify>) -> Told {
    let mut told = Told {
        name,
        counts: Vec::new(),
        unanswered: false,
    };
    let url = format!("ws://{addr}/counter/{name}");
    let Ok(response) = wsworker::fetch(&*url).await else {
        return told;
    };
    let mut events = response.into_websocket().unwrap().accept();
    while events.send("incr").is_ok() {
        told.unanswered = true;
        match events.next().await {
            Some(Event::Message(count)) => {
                told.counts.push(count.as_text().unwrap().parse().unwrap());
                told.unanswered = false;
                busy.notify_one();
            }
            _ => break,
        }
    }
    told
}

const CLIENTS: usize = 32;
const NAMES: usize = 5;
