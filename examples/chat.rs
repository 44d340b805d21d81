//! A chat with rooms: who is there, and the last 100 lines, over restarts too.
//!
//! `cargo run --example chat`, then open http://127.0.0.1:8787 in some tabs.
//! A room is a Durable Object: `&mut self`, so nothing here needs a lock.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wsworker::prelude::*;

enum Route {
    Page,
    Socket,
    History,
}

static ROUTES: LazyLock<Router<Route>> = LazyLock::new(|| {
    Router::new()
        .route("/room/{name}", Route::Page)
        .route("/room/{name}/ws", Route::Socket)
        .route("/room/{name}/history", Route::History)
});

#[worker(objects(Room))]
#[derive(Clone)]
struct Chat;

impl Worker for Chat {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        if req.path() == "/" {
            return Response::redirect("/room/lobby", 302);
        }
        let Some((route, params)) = ROUTES.at(req.path()) else {
            return Response::error("Not found\n", 404);
        };
        let name = params.get("name")?; // decoded, or a 400 that says what is wrong
        let room = env.durable_object::<Room>().get_by_name(&name);
        match route {
            Route::Page => Ok(Response::html(include_str!("chat.html"))),
            Route::Socket => room.fetch(req).await,
            Route::History => Response::json(&room.history(KEPT).await?),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    from: String,
    text: String,
    /// Milliseconds since 1970.
    at: u64,
}

/// What a page is told.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told<'a> {
    History(Vec<Line>),
    People(Vec<String>),
    Line(&'a Line),
    Error(&'a str),
}

#[durable_object]
struct Room {
    ctx: ObjectContext,
}

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        let name = req.query_param("name").unwrap_or_default();
        let name: String = plain(&name).trim().chars().take(24).collect();
        let name = if name.is_empty() { "guest" } else { &name };
        self.ctx.attach(ws, name)?;
        ws.send(json(&Told::History(self.history(KEPT).await?))?)?;
        self.tell_people()
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let text = plain(message.as_text().unwrap_or_default());
        let text = text.trim();
        // Bad input is answered: an error would undo the event and close the socket.
        if text.is_empty() || text.len() > 2000 {
            return ws.send(json(&Told::Error("a line has 1 to 2,000 bytes of text"))?);
        }
        let line = Line {
            from: self.ctx.attachment(ws)?.unwrap_or_default(),
            text: text.to_owned(),
            at: SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64,
        };
        let storage = self.ctx.storage();
        let number = storage.get::<u64>("lines").await?.unwrap_or(0);
        storage.put("lines", &(number + 1))?;
        storage.put(key(number), &line)?;
        if let Some(old) = number.checked_sub(KEPT as u64) {
            storage.delete(key(old))?;
        }
        // Everybody gets it when it is on the disk.
        self.ctx.sockets().broadcast(json(&Told::Line(&line))?);
        Ok(())
    }

    async fn on_close(&mut self, _: &WebSocket, _: CloseEvent) {
        let _ = self.tell_people();
    }
}

#[durable_object]
impl Room {
    /// The last lines, the oldest first.
    #[call]
    async fn history(&mut self, last: usize) -> Result<Vec<Line>> {
        let options = ListOptions::new().prefix("line:").reverse().limit(last);
        let lines = self.ctx.storage().list(options).await?;
        Ok(lines.into_iter().rev().map(|(_, line)| line).collect())
    }

    fn tell_people(&self) -> Result<()> {
        let sockets = self.ctx.sockets();
        let names = sockets.iter().map(|ws| self.ctx.attachment(&ws));
        let mut names: Vec<String> = names.filter_map(Result::ok).flatten().collect();
        names.sort_unstable();
        names.truncate(SHOWN);
        self.ctx.sockets().broadcast(json(&Told::People(names))?);
        Ok(())
    }
}

/// In the order of their numbers.
fn key(number: u64) -> String {
    format!("line:{number:020}")
}

/// Without control characters: as JSON each is six bytes, and 100 lines of them more
/// than may wait for a socket.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn json(told: &Told<'_>) -> Result<String> {
    Ok(serde_json::to_string(told)?)
}

/// Lines that a room remembers.
const KEPT: usize = 100;
/// Names that everybody is told when somebody comes or leaves.
const SHOWN: usize = 200;

fn main() -> Result<()> {
    wsworker::run(Chat)
}
