//! What comes out of SQL, and what goes in.

use serde::Deserialize;

use super::*;

/// Runs what a test wants inside an event.
#[durable_object(sql)]
struct Tried {
    ctx: ObjectContext,
}

impl DurableObject for Tried {
    async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
        Ok(Self { ctx })
    }

    async fn fetch(&mut self, req: Request) -> Result<Response> {
        let storage = self.ctx.storage();
        match req.path() {
            "/types" => types(storage).await,
            "/counts" => counts(storage).await,
            "/params" => params(storage).await,
            other => panic!("{other}"),
        }?;
        Ok(Response::text("done"))
    }
}

#[worker(objects(Tried))]
#[derive(Clone)]
struct Site;

impl Worker for Site {
    async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
        env.durable_object::<Tried>()
            .get_by_name("a")
            .fetch(req)
            .await
    }
}

async fn inside(path: &str) {
    let server = TestServer::start(Site, Via::Memory).await.unwrap();
    let mut response = server.fetch(path).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn rows_become_types() {
    inside("/types").await;
}

#[tokio::test(start_paused = true)]
async fn one_says_how_many_rows_there_were() {
    inside("/counts").await;
}

#[tokio::test(start_paused = true)]
async fn parameters_are_tuples_arrays_and_slices() {
    inside("/params").await;
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Red,
    Blue,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Line {
    // In another order than the columns, with one that is not asked for.
    text: String,
    number: i64,
    #[serde(default)]
    missing: Option<u8>,
    empty: Option<String>,
    kind: Kind,
    bytes: Vec<u8>,
    yes: bool,
    half: f64,
}

type Storage<'a> = &'a wsworker::ObjectStorage;

async fn types(storage: Storage<'_>) -> Result<()> {
    let sql = storage.sql()?;
    let select = "SELECT 7 AS number, 'é' AS text, NULL AS empty, 'blue' AS kind,
        x'00ff' AS bytes, 1 AS yes, 0.5 AS half, 9 AS other";
    let cursor = sql.exec(select, ()).await?;
    let line = Line {
        text: "é".into(),
        number: 7,
        missing: None,
        empty: None,
        kind: Kind::Blue,
        bytes: vec![0, 0xff],
        yes: true,
        half: 0.5,
    };
    assert_eq!(cursor.one::<Line>()?, line);

    let cursor = sql.exec("VALUES (1, 'a'), (2, NULL)", ()).await?;
    let pairs: Vec<(u8, Option<String>)> = cursor.rows()?;
    assert_eq!(pairs, [(1, Some("a".into())), (2, None)]);
    let lists: Vec<Vec<Option<String>>> = sql.exec("SELECT 'x', NULL", ()).await?.rows()?;
    assert_eq!(lists, [[Some("x".into()), None]]);
    let map: std::collections::BTreeMap<String, i64> =
        sql.exec("SELECT 1 AS a, 2 AS b", ()).await?.one()?;
    assert_eq!(
        map.into_iter().collect::<Vec<_>>(),
        [("a".into(), 1), ("b".into(), 2)]
    );
    // The only column.
    assert_eq!(sql.exec("SELECT 5", ()).await?.one::<u64>()?, 5);
    assert_eq!(sql.exec("SELECT 5", ()).await?.one::<f32>()?, 5.0);
    assert_eq!(
        sql.exec("SELECT NULL", ()).await?.one::<Option<i32>>()?,
        None
    );
    assert_eq!(
        sql.exec("SELECT 'red'", ()).await?.one::<Kind>()?,
        Kind::Red
    );

    let cursor = sql.exec("SELECT 1 AS a, 'x' AS b", ()).await?;
    for (error, wanted) in [
        (
            cursor.one::<(i64, i64)>().map(drop),
            "column 'b': invalid type: string \"x\"",
        ),
        (
            cursor.one::<(i64,)>().map(drop),
            "1 columns were wanted, got 2",
        ),
        (
            cursor.one::<i64>().map(drop),
            "one column was wanted, got 2",
        ),
    ] {
        let error = error.unwrap_err();
        assert!(
            error.is_invalid() && error.to_string().contains(wanted),
            "{error}"
        );
    }
    let negative = sql.exec("SELECT -1", ()).await?.one::<u32>().unwrap_err();
    assert!(negative.to_string().contains("integer `-1`"), "{negative}");
    Ok(())
}

async fn counts(storage: Storage<'_>) -> Result<()> {
    let sql = storage.sql()?;
    let none = sql.exec("CREATE TABLE t (a); SELECT * FROM t", ()).await?;
    assert_eq!(
        (none.len(), none.is_empty(), none.columns().len()),
        (0, true, 1)
    );
    let error = none.one::<i64>().unwrap_err().to_string();
    assert_eq!(error, "one row was wanted, got 0");
    assert_eq!(none.optional::<i64>()?, None);
    let three = sql
        .exec("INSERT INTO t VALUES (1), (2), (3) RETURNING a", ())
        .await?;
    assert_eq!((three.len(), three.rows_written()), (3, 3));
    let error = three.one::<i64>().unwrap_err().to_string();
    assert_eq!(error, "one row was wanted, got 3");
    assert!(three.optional::<i64>().is_err());
    let raw: Vec<_> = three.raw().collect();
    assert_eq!(raw[2], [SqlValue::Integer(3)]);
    let gone = sql.exec("DELETE FROM t WHERE a > 1", ()).await?;
    assert_eq!((gone.rows_written(), gone.len()), (2, 0));
    assert!(sql.database_size().await? > 4096);
    Ok(())
}

async fn params(storage: Storage<'_>) -> Result<()> {
    let sql = storage.sql()?;
    let of = "SELECT ?1, ?2";
    for cursor in [
        sql.exec(of, (1, "x")).await?,
        sql.exec(of, [SqlValue::from(1), "x".into()]).await?,
        sql.exec(of, vec![SqlValue::from(1), "x".into()]).await?,
        sql.exec(of, &[SqlValue::from(1), "x".into()][..]).await?,
    ] {
        assert_eq!(cursor.one::<(i64, String)>()?, (1, "x".into()));
    }
    let values = (
        true,
        1u8,
        2u32,
        0.5f32,
        Some("x".to_owned()),
        None::<i64>,
        [1u8, 2],
    );
    let types = "SELECT typeof(?1), typeof(?2), typeof(?3), typeof(?4), typeof(?5), typeof(?6),
        typeof(?7)";
    let types: Vec<String> = sql.exec(types, values).await?.one()?;
    let wanted = [
        "integer", "integer", "integer", "real", "text", "null", "blob",
    ];
    assert_eq!(types, wanted);
    let error = sql.exec(of, (1,)).await.unwrap_err().to_string();
    assert_eq!(error, "the SQL wants 2 parameters, got 1");
    let last = sql
        .exec("CREATE TABLE t (a); INSERT INTO t VALUES (?1)", (7,))
        .await?;
    assert_eq!(last.rows_written(), 1);
    Ok(())
}
