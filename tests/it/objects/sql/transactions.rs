//! An event is one transaction of keys, alarm and tables.

use wsworker::storage::Fault;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_event_sees_what_it_wrote_and_the_next_one_does_too() {
    let server = ledgers().await;
    let lines = [
        "sql INSERT INTO t VALUES (1, 'x'), (2, NULL)",
        "put k",
        "sql SELECT a, b FROM t ORDER BY a",
        "get k",
    ];
    assert_eq!(ask(&server, &lines).await, "\n\n1,x 2,NULL\nSome(true)");
    assert_eq!(ask(&server, &[COUNT, "get k"]).await, "2\nSome(true)");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(server.handle().objects(), 0);
    assert_eq!(ask(&server, &[COUNT, "get k"]).await, "2\nSome(true)");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_undoes_keys_alarm_and_tables() {
    let server = ledgers().await;
    ask(&server, &["sql INSERT INTO t VALUES (1, 1)", "put k"]).await;
    for end in ["fail", "panic", "abort", "sleep"] {
        let lines = [
            "sql UPDATE t SET a = 7",
            "sql CREATE TABLE other (a)",
            "put l",
            "alarm 60000",
            "clear",
            end,
        ];
        assert_eq!(tell(&server, "a", &lines).await, Err(500), "{end}");
        let said = ask(
            &server,
            &["sql SELECT * FROM t", "get k", "get l", "has-alarm"],
        )
        .await;
        assert_eq!(said, "1,1\nSome(true)\nNone\nfalse", "{end}");
        let said = ask(&server, &["try SELECT * FROM other"]).await;
        assert!(said.contains("no such table: other"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_fails_undoes_only_itself() {
    let server = ledgers().await;
    let lines = [
        "sql INSERT INTO t VALUES (1, 1)",
        "try INSERT INTO t VALUES (2, 2), (1, 1)",
        "try INSERT INTO t VALUES (3, 3); SELECT nonsense",
        "few WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 900) SELECT i FROM n",
        "try BEGIN",
    ];
    let said = ask(&server, &lines).await;
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said[1], "error: SQL: UNIQUE constraint failed: t.a");
    assert!(said[2].contains("no such column: nonsense"), "{}", said[2]);
    assert!(said[3].contains("LIMIT"), "{}", said[3]);
    assert!(
        said[4].contains("an event is the transaction"),
        "{}",
        said[4]
    );
    assert_eq!(ask(&server, &[COUNT]).await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_transaction_is_lost_fails_whatever_it_returns() {
    let server = ledgers().await;
    ask(&server, &["sql INSERT INTO t VALUES (1, 1)"]).await;
    let lines = [
        "sql INSERT INTO t VALUES (2, 2)",
        "put k",
        "try INSERT OR ROLLBACK INTO t VALUES (1, 1)",
    ];
    assert_eq!(tell(&server, "a", &lines).await, Err(500));
    assert_eq!(ask(&server, &[COUNT, "get k"]).await, "1\nNone");
}

#[tokio::test(start_paused = true)]
async fn sql_that_is_begun_and_dropped_belongs_to_its_event() {
    let server = ledgers().await;
    ask(&server, &["drop INSERT INTO t VALUES (1, 1)"]).await;
    assert_eq!(ask(&server, &[COUNT]).await, "1");
    let fails = ["drop INSERT INTO t VALUES (2, 2)", "fail"];
    assert_eq!(tell(&server, "a", &fails).await, Err(500));
    assert_eq!(ask(&server, &[COUNT]).await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_told_and_the_next_event_works() {
    let storage = faulty();
    let server = ledgers_on(storage.clone()).await;
    ask(&server, &["sql INSERT INTO t VALUES (1, 1)"]).await;
    storage.fail(1, Fault::Before);
    let lines = ["sql INSERT INTO t VALUES (2, 2)", "put k"];
    assert_eq!(tell(&server, "a", &lines).await, Err(500));
    assert_eq!(ask(&server, &[COUNT, "get k"]).await, "1\nNone");
    ask(&server, &lines).await;
    assert_eq!(ask(&server, &[COUNT, "get k"]).await, "2\nSome(true)");
}

/// Neither sees what the one before it has not committed.
#[tokio::test(start_paused = true)]
async fn the_next_event_waits_for_the_commit() {
    let storage = faulty();
    let server = ledgers_on(storage.clone()).await;
    assert_eq!(ask(&server, &[COUNT]).await, "0");
    let held = storage.hold();
    let first = tell(&server, "a", &["sql INSERT INTO t VALUES (1, 1)", "put k"]);
    let second = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tell(&server, "a", &[COUNT, "get k"]).await
    };
    let go_on = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        storage.fail(2, Fault::Before);
        assert_eq!(storage.commits(), 2);
        drop(held);
    };
    let (first, second, ()) = tokio::join!(first, second, go_on);
    assert_eq!(first, Ok("\n".into()));
    assert_eq!(second, Ok("1\nSome(true)".into()));
}

/// There is nothing to be made durable.
#[tokio::test(start_paused = true)]
async fn an_event_that_only_reads_waits_for_nothing() {
    let storage = faulty();
    let server = ledgers_on(storage.clone()).await;
    ask(&server, &["sql INSERT INTO t VALUES (1, 1)"]).await;
    let commits = storage.commits();
    assert_eq!(
        ask(&server, &[COUNT, "get k", "has-alarm"]).await,
        "1\nNone\nfalse"
    );
    assert_eq!(storage.commits(), commits);
}

#[tokio::test(start_paused = true)]
async fn delete_all_empties_keys_and_tables_and_keeps_the_alarm() {
    let server = ledgers().await;
    ask(
        &server,
        &["sql INSERT INTO t VALUES (1, 1)", "put k", "alarm 60000"],
    )
    .await;
    let lines = [
        "clear",
        "get k",
        "try SELECT * FROM t",
        "sql CREATE TABLE t (a)",
        "sql INSERT INTO t VALUES (5)",
        "put l",
    ];
    let said = ask(&server, &lines).await;
    assert!(
        said.contains("None\nerror: SQL: no such table: t"),
        "{said}"
    );
    let said = ask(
        &server,
        &["sql SELECT * FROM t", "get k", "get l", "has-alarm"],
    )
    .await;
    assert_eq!(said, "5\nNone\nSome(true)\ntrue");
    ask(&server, &["clear"]).await;
    let said = ask(&server, &["try SELECT * FROM t", "get l", "has-alarm"]).await;
    assert!(said.ends_with("no such table: t\nNone\ntrue"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn objects_do_not_see_each_other() {
    let server = ledgers().await;
    ask(&server, &["sql INSERT INTO t VALUES (1, 1)", "put k"]).await;
    let said = tell(&server, "b", &[COUNT, "get k"]).await;
    assert_eq!(said, Ok("0\nNone".into()));
}

#[tokio::test(start_paused = true)]
async fn later_work_changes_it_by_its_stub() {
    let server = ledgers().await;
    ask(&server, &["later sql INSERT INTO t VALUES (1, 1)"]).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(ask(&server, &[COUNT]).await, "1");
}

#[durable_object(sql, event_timeout = "200ms")]
struct Endless {
    ctx: ObjectContext,
}

impl DurableObject for Endless {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn fetch(&mut self, _: Request) -> Result<Response> {
        let endless = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
        let error = self
            .ctx
            .storage()
            .sql()?
            .exec(endless, ())
            .await
            .unwrap_err();
        assert!(error.is_timeout());
        Ok(Response::text(error.to_string()))
    }
}

/// Both of these.
#[worker(objects(Endless, Without))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        match req.path() {
            "/endless" => {
                let endless = env.durable_object::<Endless>().get_by_name("a");
                endless.fetch(req).await
            }
            _ => {
                let without = env.durable_object::<Without>().get_by_name("a");
                without.fetch(req).await
            }
        }
    }
}

async fn said(path: &str) -> String {
    let server = TestServer::start(Site, Via::Memory).await.unwrap();
    let mut response = server.fetch(path).await.unwrap();
    response.text().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn sql_that_does_not_end_is_interrupted() {
    let said = said("/endless").await;
    assert!(said.contains("its event's deadline"), "{said}");
}

#[durable_object]
struct Without {
    ctx: ObjectContext,
}

impl DurableObject for Without {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn fetch(&mut self, _: Request) -> Result<Response> {
        let error = self.ctx.storage().sql().unwrap_err();
        assert!(error.is_config());
        Ok(Response::text(error.to_string()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_class_without_sql_is_told_how_to_have_it() {
    let said = said("/without").await;
    assert!(said.contains("#[durable_object(sql)]"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_storage_without_sql_is_told_at_start() {
    let storage = super::super::storage::Scripted::open();
    let server = Server::new(Ledgers).storage(storage);
    let error = TestServer::start(server, Via::Memory).await.err().unwrap();
    assert!(error.is_config(), "{error}");
    assert!(error.to_string().contains("has no SQL"), "{error}");
}
