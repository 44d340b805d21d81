//! What an event sends to the socket that it comes from: in its order, with all that
//! it does between, and nothing of it if the event fails.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::yield_now;
use wsworker::storage::{FaultyStorage, MemoryStorage};

use super::*;
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Served, within};

/// Does what a message's letters say.
#[durable_object(failed = "keep")]
struct Scripts {
    ctx: ObjectContext,
}

impl DurableObject for Scripts {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let script = message.as_text().unwrap_or_default();
        for (at, step) in script.char_indices() {
            match step {
                's' | 'm' | 'l' => ws.send(said(script, at))?,
                'b' => self.ctx.sockets().broadcast(said(script, at)),
                'p' => self.ctx.storage().put("at", &at)?,
                'y' => yield_now().await,
                'r' => ws.ready().await?,
                'o' => {
                    while ws.send("x").is_ok() {}
                    let full = ws.ready().await.is_err_and(|error| error.is_full());
                    return Err(Error::new(if full { "full" } else { "there is room" }));
                }
                'f' => return Err(Error::new("as it was told")),
                'x' => panic!("as it was told"),
                _ => {}
            }
        }
        Ok(())
    }

    async fn on_error(&mut self, ws: &WebSocket, error: &Error) {
        let has_room = error.to_string().contains("there is room");
        let _ = ws.send(if has_room { "room" } else { "undone" });
    }
}

#[worker(objects(Scripts))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let scripts = env.durable_object::<Scripts>();
        scripts.get_by_name(req.path()).fetch(req).await
    }
}

/// What a step sends: less than is copied into a batch with others, about as much, or more.
fn said(script: &str, at: usize) -> String {
    let mut text = format!("{script} {at} ");
    let size = match script.as_bytes()[at] {
        b'm' => 4095,
        b'l' => 9000,
        _ => 0,
    };
    while text.len() < size {
        text.push('.');
    }
    text
}

/// What a client hears of a script.
fn heard(script: &str) -> Vec<String> {
    if script.contains(['f', 'x', 'o']) {
        return vec!["undone".to_owned()];
    }
    let sends = |step: char| "smlb".contains(step);
    let steps = script.char_indices().filter(|(_, step)| sends(*step));
    steps.map(|(at, _)| said(script, at)).collect()
}

async fn served(millis: u64) -> Served {
    let storage = FaultyStorage::new(MemoryStorage::new());
    storage.delay(Duration::from_millis(millis));
    Served::start_with(Site, |server| server.storage(storage)).await
}

async fn expect(client: &mut RawClient, script: &str) {
    for text in heard(script) {
        client.expect_text(&text).await;
    }
}

#[test]
fn it_is_all_there_in_order_or_nothing_of_it() {
    within(async || {
        let seed = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        for millis in [0, 1] {
            let served = served(millis).await;
            for n in 0..40 {
                let mut client = RawClient::open_at(served.addr, &format!("/{n}")).await;
                let scripts: Vec<String> = (0..random.random_range(1..30))
                    .map(|_| {
                        let letters = b"sssssmmlbppyyrf";
                        let steps = random.random_range(1..8);
                        let step = |_| char::from(*letters.choose(&mut random).unwrap());
                        (0..steps).map(step).collect()
                    })
                    .collect();
                let frames = scripts.iter().map(Frame::text);
                // In one read, so that many have the same turn.
                client.send_raw(encode_all(frames)).await;
                for script in &scripts {
                    expect(&mut client, script).await;
                }
            }
        }
    });
}

#[test]
fn what_was_sent_before_a_wait_stays_until_the_event_ends() {
    within(async || {
        let served = served(20).await;
        let mut client = RawClient::open_at(served.addr, "/").await;
        for script in ["ssyf", "ssprf", "ssx", "smlx", "sysbyx", "s", "sysyps"] {
            client.send_all(["s", script].map(Frame::text)).await;
            expect(&mut client, "s").await;
            expect(&mut client, script).await;
        }
    });
}

/// Their heads count, wherever they wait.
#[test]
fn an_event_that_filled_its_socket_with_small_messages_finds_no_room_by_waiting() {
    within(async || {
        let served = served(0).await;
        let mut client = RawClient::open_at(served.addr, "/").await;
        for script in ["s", "o", "so", "po", "s"] {
            client.send(Frame::text(script)).await;
            expect(&mut client, script).await;
        }
    });
}

#[test]
fn the_frames_before_those_of_an_event_that_fails_stay() {
    within(async || {
        let served = served(0).await;
        let mut client = RawClient::open_at(served.addr, "/").await;
        let scripts = ["sls", "lmf", "mls", "sf", "sx", "ls"];
        let frames = scripts.iter().map(Frame::text);
        // The answer to a ping between stands where it stood.
        let frames = frames.flat_map(|script| [script, Frame::ping("between")]);
        client.send_raw(encode_all(frames)).await;
        for script in scripts {
            expect(&mut client, script).await;
            client.expect_pong(b"between").await;
        }
    });
}
