//! Who counts, what they were told, and whether what is stored agrees with it.
//! Does not start, kill or disturb the server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use wsworker::Event;

use crate::raw::RawClient;

/// How many rounds are wanted, if not the usual number, and by which seed.
pub fn rounds(usual: usize) -> (usize, StdRng) {
    let rounds = std::env::var("CRASH_ROUNDS").map_or(usual, |n| n.parse().unwrap());
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |n| n.parse().unwrap());
    println!("SEED={seed}");
    (rounds, StdRng::seed_from_u64(seed))
}

/// What one client was told, and whether its last increment was answered.
pub struct Told {
    name: usize,
    pub counts: Vec<u64>,
    unanswered: bool,
    /// The code of the Close, if one came.
    pub closed: Option<u16>,
    /// There was no WebSocket.
    pub refused: bool,
}

impl Told {
    pub fn of(name: usize) -> Self {
        Self {
            name,
            counts: Vec::new(),
            unanswered: false,
            closed: None,
            refused: false,
        }
    }
}

/// What all clients were told.
#[derive(Default)]
pub struct Books {
    answered: HashMap<usize, Vec<u64>>,
    pub unanswered: HashMap<usize, u64>,
}

impl Books {
    pub fn note(&mut self, told: Vec<Told>) {
        for told in told {
            let answered = self.answered.entry(told.name).or_default();
            answered.extend(told.counts);
            *self.unanswered.entry(told.name).or_default() += u64::from(told.unanswered);
        }
    }

    pub fn answers(&self) -> usize {
        self.answered.values().map(Vec::len).sum()
    }

    /// No count twice, none lost, and none that nobody asked for.
    pub async fn check(&mut self, addr: SocketAddr, round: usize) {
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

/// Many that increment until the server is gone. The first that is answered says so.
pub fn clients(addr: SocketAddr, busy: &Arc<Notify>) -> JoinSet<Told> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(count(addr, client % NAMES, busy.clone()));
    }
    clients
}

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
