//! Objects with SQL: a database of their own, in which an event is the transaction.

mod alarms;
mod cursor;
mod files;
mod transactions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wsworker::prelude::*;
use wsworker::storage::{FaultyStorage, MemoryStorage, SqliteStorage, Storage};
use wsworker::testing::{TestServer, Via};
use wsworker::{AlarmInfo, Cursor, SqlValue};

/// An object whose requests say what it is to do: a command on each line, whose answers
/// it gives.
#[durable_object(sql, hibernate_after = "1s", event_timeout = "5s")]
struct Ledger {
    ctx: ObjectContext,
    env: Env,
}

impl DurableObject for Ledger {
    async fn new(ctx: ObjectContext, env: Env) -> Result<Self> {
        let create = "CREATE TABLE IF NOT EXISTS t (a UNIQUE, b)";
        ctx.storage().sql()?.exec(create, ()).await?;
        Ok(Ledger { ctx, env })
    }

    async fn fetch(&mut self, mut req: Request) -> Result<Response> {
        let mut said = Vec::new();
        for line in req.text().await?.lines() {
            said.push(self.obey(line).await?);
        }
        Ok(Response::text(said.join("\n")))
    }

    async fn alarm(&mut self, _: AlarmInfo) -> Result<()> {
        let sql = self.ctx.storage().sql()?;
        sql.exec("INSERT INTO t VALUES (NULL, 'alarm')", ()).await?;
        if self.ctx.storage().get::<bool>("again").await?.is_some() {
            self.ctx.storage().delete("again")?;
            return Err(Error::new("again"));
        }
        Ok(())
    }
}

impl Ledger {
    async fn obey(&mut self, line: &str) -> Result<String> {
        let storage = self.ctx.storage();
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let said = match command {
            "sql" => shown(&storage.sql()?.exec(rest, ()).await?),
            // Goes on after an error.
            "try" => match storage.sql()?.exec(rest, ()).await {
                Ok(cursor) => shown(&cursor),
                Err(error) => format!("error: {error}"),
            },
            "few" => {
                let sql = storage.sql()?.max_result(1000);
                match sql.exec(rest, ()).await {
                    Ok(cursor) => shown(&cursor),
                    Err(error) => format!("error: {error}"),
                }
            }
            // Begins it, and does not wait for its end.
            "drop" => {
                let sql = storage.sql()?;
                let mut exec = std::pin::pin!(sql.exec(rest, ()));
                let waker = std::task::Waker::noop();
                let _ = exec
                    .as_mut()
                    .poll(&mut std::task::Context::from_waker(waker));
                String::new()
            }
            "put" => storage.put(rest, &true).map(|()| String::new())?,
            "get" => format!("{:?}", storage.get::<bool>(rest).await?),
            "clear" => storage.delete_all().map(|()| String::new())?,
            "alarm" => {
                storage.set_alarm_after(Duration::from_millis(rest.parse()?))?;
                String::new()
            }
            "no-alarm" => storage.delete_alarm().map(|()| String::new())?,
            "has-alarm" => storage.alarm().await?.is_some().to_string(),
            "size" => storage.sql()?.database_size().await?.to_string(),
            "later" => {
                let stub = self.env.durable_object::<Ledger>().get_by_name("a");
                let request = Request::post("http://ledger/").body(rest.to_owned());
                self.ctx
                    .wait_until(async move { stub.fetch(request).await.map(drop) })?;
                String::new()
            }
            "fail" => return Err(Error::new("as asked")),
            "panic" => panic!("as asked"),
            "abort" => self.ctx.abort("as asked").map(|()| String::new())?,
            "sleep" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                String::new()
            }
            _ => panic!("no such command: {line}"),
        };
        Ok(said)
    }
}

fn shown(cursor: &Cursor) -> String {
    let row = |row: &[SqlValue]| {
        let values = row.iter().map(|value| match value {
            SqlValue::Null => "NULL".to_owned(),
            SqlValue::Integer(integer) => integer.to_string(),
            SqlValue::Real(real) => real.to_string(),
            SqlValue::Text(text) => text.clone(),
            SqlValue::Blob(bytes) => format!("{bytes:?}"),
        });
        values.collect::<Vec<_>>().join(",")
    };
    cursor.raw().map(row).collect::<Vec<_>>().join(" ")
}

/// Sends each request to the ledger that its path names.
#[worker(objects(Ledger))]
#[derive(Clone)]
struct Ledgers;

impl Worker for Ledgers {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        let name = req.path().to_owned();
        let ledgers = env.durable_object::<Ledger>();
        ledgers.get_by_name(&name[1..]).fetch(req).await
    }
}

async fn ledgers_on(storage: impl Storage) -> TestServer {
    let server = Server::new(Ledgers).storage(storage);
    TestServer::start(server, Via::Memory).await.unwrap()
}

async fn ledgers() -> TestServer {
    ledgers_on(MemoryStorage::new()).await
}

async fn ledgers_in(directory: &Path) -> TestServer {
    ledgers_on(SqliteStorage::open(directory).unwrap()).await
}

fn faulty() -> Arc<FaultyStorage> {
    Arc::new(FaultyStorage::new(MemoryStorage::new()))
}

/// What a ledger answers to these lines; the status, if it is not 200.
async fn tell(server: &TestServer, name: &str, lines: &[&str]) -> Result<String, u16> {
    let request = Request::post(format!("/{name}")).body(lines.join("\n"));
    let mut response = server.fetch(request).await.unwrap();
    match response.status().as_u16() {
        200 => Ok(response.text().await.unwrap()),
        other => Err(other),
    }
}

async fn ask(server: &TestServer, lines: &[&str]) -> String {
    tell(server, "a", lines).await.unwrap()
}

/// How many rows there are in `t`.
const COUNT: &str = "sql SELECT count(*) FROM t";
