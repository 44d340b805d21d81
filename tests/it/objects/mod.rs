//! Durable Objects through their public interface: a room that does what its
//! messages say, over an in-memory network and storage.

mod alarms;
mod auto_response;
mod backpressure;
mod calls;
mod ends;
mod events;
mod fanout;
mod hibernation;
mod inner;
mod kept;
mod leaving;
mod limits;
mod model;
mod outside;
mod own;
mod parting;
mod probe;
mod rules;
mod sockets;
mod sql;
mod storage;
mod undone;

use std::time::Duration;

use wsworker::__private::{Class, ObjectOptions};
use wsworker::prelude::*;
use wsworker::storage::Storage;
use wsworker::testing::{TestServer, TestSocket, Via};
use wsworker::{AlarmInfo, DurableObject, ListOptions, ObjectContext, Stub};

/// A room whose messages say what it is to do: words, one command each.
pub struct Room {
    ctx: ObjectContext,
    env: Env,
    /// Lives as long as the value.
    heard: usize,
}

impl Class for Room {
    const NAME: &'static str = "Room";
    const OPTIONS: ObjectOptions = ObjectOptions::DEFAULT;
    type Stub = Stub<Self>;
}

impl DurableObject for Room {
    async fn new(ctx: ObjectContext, env: Env) -> Result<Self> {
        if ctx.storage().get::<bool>("broken").await? == Some(true) {
            return Err(Error::new("broken"));
        }
        Ok(Self { ctx, env, heard: 0 })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        if req.is_upgrade() {
            let Some(tags) = req.query_param("tags") else {
                return Ok(req.upgrade()?.accept());
            };
            let tags: Vec<_> = tags.split(',').map(str::to_owned).collect();
            let upgrade = req.upgrade()?;
            let (client, server) = wsworker::WebSocketPair::new();
            let ws = self.ctx.accept(server, &tags)?;
            self.ctx.attach(&ws, &tags.join("+"))?;
            if tags.contains(&"refused".to_owned()) {
                return Err(Error::new("refused"));
            }
            return Ok(upgrade.respond(client));
        }
        let words = req.path().rsplit('/').next().unwrap_or_default();
        let said = self.obey(&words.replace('+', " "), None).await?;
        Ok(Response::text(said.unwrap_or_default()))
    }

    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        if req.path().ends_with("greeted") {
            ws.send("hello")?;
        }
        Ok(())
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.heard += 1;
        let words = message.as_text().expect("a test sends text").to_owned();
        if let Some(answer) = self.obey(&words, Some(ws)).await? {
            ws.send(answer)?;
        }
        Ok(())
    }

    async fn on_close(&mut self, _: &WebSocket, close: CloseEvent) {
        let sockets = self.ctx.sockets();
        sockets.broadcast(format!("left {} {}", close.code, self.ctx.sockets().len()));
    }

    async fn on_error(&mut self, _: &WebSocket, error: &Error) {
        let text = format!("error after {}: {error}", self.heard);
        self.ctx.sockets().broadcast(text);
    }

    async fn alarm(&mut self, info: AlarmInfo) -> Result<()> {
        let storage = self.ctx.storage();
        let tries: u32 = storage.get("alarms").await?.unwrap_or(0) + 1;
        let failing: u32 = storage.get("failing").await?.unwrap_or(0);
        if info.retries < failing {
            storage.put("lost", &1)?;
            return Err(Error::new("not yet"));
        }
        storage.put("alarms", &tries)?;
        let text = format!(
            "alarm {} {:?}",
            info.retries,
            storage.alarm().await?.is_some()
        );
        self.ctx.sockets().broadcast(text);
        if let Some(left) = storage.get::<u32>("repeat").await?.filter(|left| *left > 0) {
            storage.put("repeat", &(left - 1))?;
            storage.set_alarm_after(Duration::from_secs(60))?;
        }
        Ok(())
    }
}

impl Room {
    async fn obey(&mut self, words: &str, ws: Option<&WebSocket>) -> Result<Option<String>> {
        let words: Vec<&str> = words.split(' ').collect();
        let storage = self.ctx.storage();
        let all = || self.ctx.sockets();
        match *words {
            ["put", key, value] => storage.put(key, value)?,
            ["number", key, value] => storage.put(key, &value.parse::<u32>()?)?,
            ["get", key] => {
                let value = storage.get::<String>(key).await?;
                return Ok(Some(value.unwrap_or_else(|| "nothing".into())));
            }
            ["delete", key] => storage.delete(key)?,
            ["clear"] => storage.delete_all()?,
            ["list"] => {
                let pairs = storage.list::<String>(ListOptions::new()).await?;
                let shown = pairs
                    .iter()
                    .map(|(k, v)| format!("{}={v}", String::from_utf8_lossy(k)));
                return Ok(Some(shown.collect::<Vec<_>>().join(",")));
            }
            ["incr"] => {
                let count = storage.get::<u32>("count").await?.unwrap_or(0) + 1;
                storage.put("count", &count)?;
                return Ok(Some(count.to_string()));
            }
            // Reads, lets others have a chance, and writes.
            ["slow-incr"] => {
                let count = storage.get::<u32>("count").await?.unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(5)).await;
                storage.put("count", &(count + 1))?;
                return Ok(Some((count + 1).to_string()));
            }
            ["alarms"] => {
                let alarms = storage.get::<u32>("alarms").await?;
                return Ok(Some(alarms.unwrap_or(0).to_string()));
            }
            ["heard"] => return Ok(Some(self.heard.to_string())),
            ["all", text] => all().broadcast(text),
            ["others", text] => all().except(ws.unwrap()).broadcast(text),
            ["tagged", tag, text] => all().tagged(tag).broadcast(text),
            ["tag", tag] => self.ctx.add_tag(ws.unwrap(), tag)?,
            ["untag", tag] => self.ctx.remove_tag(ws.unwrap(), tag)?,
            ["attached"] => {
                let value = self.ctx.attachment::<String>(ws.unwrap())?;
                return Ok(Some(value.unwrap_or_else(|| "nothing".into())));
            }
            ["attach", value] => self.ctx.attach(ws.unwrap(), value)?,
            ["sockets"] => return Ok(Some(all().len().to_string())),
            ["close-all"] => all().iter().try_for_each(|ws| ws.close_with(4000, "all"))?,
            ["auto"] => self.ctx.set_auto_response("ping", "pong"),
            ["sleep", millis] => {
                tokio::time::sleep(Duration::from_millis(millis.parse()?)).await;
            }
            ["alarm", millis] => {
                storage.set_alarm_after(Duration::from_millis(millis.parse()?))?;
            }
            ["alarm-at", millis] => {
                storage.set_alarm(self.ctx.now() + Duration::from_millis(millis.parse()?))?;
            }
            ["no-alarm"] => storage.delete_alarm()?,
            ["put-all-fail", key, value] => {
                storage.put(key, value)?;
                all().broadcast("never");
                storage.set_alarm_after(Duration::from_millis(1))?;
                if let Some(ws) = ws {
                    self.ctx.add_tag(ws, "never")?;
                    self.ctx.attach(ws, "never")?;
                }
                self.ctx.after_commit(async { panic!("never") })?;
                return Err(Error::new("as asked"));
            }
            ["put-panic", key, value] => {
                storage.put(key, value)?;
                panic!("as asked");
            }
            ["put-drop-panic", key, value] => {
                storage.put(key, value)?;
                let _bad = PanicsOnDrop(ws.unwrap().clone());
                std::future::pending::<()>().await;
            }
            ["put-abort", key, value] => {
                storage.put(key, value)?;
                self.ctx.abort("as asked")?;
            }
            // A socket that is the client of one in this process, which says what it hears.
            ["pair"] => {
                let (server, client) = wsworker::WebSocketPair::new();
                let mut events = server.accept();
                self.ctx.accept(client, ["inner"])?;
                wsworker::spawn(async move {
                    while let Some(event) = events.next().await {
                        if let wsworker::Event::Message(message) = event {
                            let heard = message.as_text().unwrap_or_default();
                            events.send(format!("tagged outer heard-{heard}"))?;
                        }
                    }
                    Ok(())
                });
            }
            ["later", text] => {
                let stub = self.env.durable_object::<Room>().get_by_name("a");
                let text = format!("all+{text}");
                self.ctx.wait_until(async move {
                    stub.fetch(Request::get(format!("http://room/{text}")))
                        .await
                        .map(drop)
                })?;
            }
            ["ask", name, rest] => {
                let stub = self.env.durable_object::<Room>().get_by_name(name);
                let url = format!("http://room/{}", rest.replace('_', "+"));
                let mut answer = stub.fetch(Request::get(&url)).await?;
                return Ok(Some(answer.text().await?));
            }
            _ => return Err(Error::new(format!("no such command: {words:?}"))),
        }
        Ok(None)
    }
}

struct PanicsOnDrop(WebSocket);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("never");
        panic!("as asked");
    }
}

/// Sends each request to the room that its path names first: `/a/…`.
#[worker]
#[derive(Clone)]
struct Rooms;

impl Worker for Rooms {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let name = req.path().split('/').nth(1).unwrap_or_default().to_owned();
        env.durable_object::<Room>()
            .get_by_name(&name)
            .fetch(req)
            .await
    }
}

async fn rooms() -> TestServer {
    let server = Server::new(Rooms).object::<Room>();
    TestServer::start(server, Via::Memory).await.unwrap()
}

async fn rooms_on(storage: impl Storage) -> TestServer {
    let server = Server::new(Rooms).object::<Room>().storage(storage);
    TestServer::start(server, Via::Memory).await.unwrap()
}

/// Sends and gives the answer.
async fn ask(ws: &mut TestSocket, words: &str) -> String {
    ws.send(words).unwrap();
    ws.text().await.unwrap()
}

/// The text of a GET.
async fn get(server: &TestServer, path: &str) -> String {
    let mut response = server.fetch(path).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.unwrap()
}
