//! A live poll for each path: a host asks, voters choose, an alarm ends it.
//!
//! `cargo run --example poll`, then open http://127.0.0.1:8787/poll/lunch in some tabs,
//! and http://127.0.0.1:8787/poll/lunch?role=host in one. A poll and its votes outlive a
//! restart; one whose time has come meanwhile ends at the start.

use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;
use wsworker::prelude::*;

static POLLS: LazyLock<Router<()>> = LazyLock::new(|| Router::new().route("/poll/{name}", ()));

#[worker(objects(Room), max_message = "4 KiB")]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let Some(((), params)) = POLLS.at(req.path()) else {
            return Response::error("Not found: there is /poll/NAME\n", 404);
        };
        let name = params.get("name")?; // decoded, or a 400 that says what is wrong
        if !req.is_upgrade() {
            return Ok(Response::html(include_str!("poll.html")));
        }
        let room = env.durable_object::<Room>().get_by_name(&name);
        room.fetch(req).await
    }
}

/// What a host asks.
#[derive(Deserialize)]
struct Asked {
    question: String,
    options: Vec<String>,
    seconds: u64,
}

/// What is stored, and what everybody is told.
#[derive(Serialize, Deserialize)]
struct Poll {
    question: String,
    options: Vec<String>,
    /// How many chose each option.
    votes: Vec<u64>,
    /// Milliseconds since 1970.
    ends: u64,
    over: bool,
}

// A name of its own: `chat` keeps its rooms in the same directory.
#[durable_object(name = "poll")]
struct Room {
    ctx: ObjectContext,
}

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        // Whoever says so is a host: where that matters, look at a secret here.
        let is_host = req.query_param("role").is_some_and(|role| role == HOST);
        let voter = req.query_param("voter").unwrap_or_default();
        let voter: String = voter.chars().take(64).collect();
        let upgrade = req.upgrade()?;
        let (client, server) = WebSocketPair::new();
        let tag = if is_host { HOST } else { VOTER };
        let ws = self.ctx.accept(server, [tag])?;
        self.ctx.attach(&ws, &voter)?;
        Ok(upgrade.respond(client))
    }

    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        let Some(poll) = self.poll().await? else {
            return ws.send(json!({ "poll": null }).to_string());
        };
        ws.send(told(&poll, self.is_host(ws)?))?;
        match self.ctx.storage().get::<usize>(self.ballot(ws)?).await? {
            Some(chosen) => ws.send(json!({ "chosen": chosen }).to_string()),
            None => Ok(()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let said = message.as_text().unwrap_or_default();
        let wrong = match self.is_host(ws)? {
            true => self.ask(said)?,
            false => self.choose(ws, said).await?,
        };
        match wrong {
            // Bad input is answered: an error would undo the event and close the socket.
            Some(wrong) => ws.send(json!({ "error": wrong }).to_string()),
            None => Ok(()),
        }
    }

    /// The time is up. May come twice, and does the same then.
    async fn alarm(&mut self, _: AlarmInfo) -> Result<()> {
        if let Some(mut poll) = self.poll().await? {
            poll.over = true;
            self.ctx.storage().put("poll", &poll)?;
            self.ctx.sockets().broadcast(told(&poll, true));
        }
        Ok(())
    }
}

impl Room {
    /// A new poll, in place of one before it; or what is wrong with it.
    fn ask(&self, said: &str) -> Result<Option<&'static str>> {
        let Ok(asked) = serde_json::from_str::<Asked>(said) else {
            return Ok(Some("send a question, options and seconds as JSON"));
        };
        if !(2..=10).contains(&asked.options.len()) || !(1..=86_400).contains(&asked.seconds) {
            return Ok(Some("a poll has 2 to 10 options and 1 to 86,400 seconds"));
        }
        let time = Duration::from_secs(asked.seconds);
        let ends = (self.ctx.now() + time).duration_since(UNIX_EPOCH)?;
        let poll = Poll {
            votes: vec![0; asked.options.len()],
            question: asked.question,
            options: asked.options,
            ends: ends.as_millis() as u64,
            over: false,
        };
        self.ctx.storage().delete_all()?; // the votes of the poll before
        self.ctx.storage().set_alarm_after(time)?; // over the alarm of that one
        self.keep(&poll)?;
        let voters = self.ctx.sockets().tagged(VOTER);
        voters.broadcast(told(&poll, false));
        Ok(None)
    }

    /// A vote, in place of the same voter's before it; or what is wrong with it.
    async fn choose(&self, ws: &WebSocket, said: &str) -> Result<Option<&'static str>> {
        let poll = self.poll().await?.filter(|poll| !poll.over);
        let Some(mut poll) = poll else {
            return Ok(Some("there is no poll now"));
        };
        let chosen = said.parse::<usize>().ok();
        let Some(chosen) = chosen.filter(|chosen| *chosen < poll.votes.len()) else {
            return Ok(Some("send the number of an option, from 0"));
        };
        let (storage, ballot) = (self.ctx.storage(), self.ballot(ws)?);
        if let Some(before) = storage.get::<usize>(&ballot).await? {
            poll.votes[before] -= 1;
        }
        poll.votes[chosen] += 1;
        storage.put(ballot, &chosen)?;
        self.keep(&poll)?;
        ws.send(json!({ "chosen": chosen }).to_string())?; // when it is on the disk
        Ok(None)
    }

    /// Hosts see the votes as they come.
    fn keep(&self, poll: &Poll) -> Result<()> {
        self.ctx.sockets().tagged(HOST).broadcast(told(poll, true));
        self.ctx.storage().put("poll", poll)
    }

    async fn poll(&self) -> Result<Option<Poll>> {
        self.ctx.storage().get("poll").await
    }

    fn is_host(&self, ws: &WebSocket) -> Result<bool> {
        Ok(self.ctx.tags(ws)?.contains(&HOST.to_owned()))
    }

    /// The key of what the socket's voter chose.
    fn ballot(&self, ws: &WebSocket) -> Result<String> {
        let voter: Option<String> = self.ctx.attachment(ws)?;
        Ok(format!("vote:{}", voter.unwrap_or_default()))
    }
}

/// The poll; before its end only hosts see the votes.
fn told(poll: &Poll, is_host: bool) -> String {
    let mut told = json!({ "poll": poll });
    if !is_host && !poll.over {
        told["poll"]["votes"].take();
    }
    told.to_string()
}

const HOST: &str = "host";
const VOTER: &str = "voter";

fn main() -> Result<()> {
    wsworker::run(Site)
}
