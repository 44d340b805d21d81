//! An object's own database: its transaction, and what lies beside it.
//! What SQL may not do is in `refused`.

use std::time::{Duration, Instant};

use super::{Shared, at, clear, key, object, poll_once, put};
use crate::error::Result;
use crate::storage::{
    Alarm, AlarmChange, Batch, ObjectDatabase, Range, SqlQuery, SqlRows, SqlValue, Storage,
};

pub(super) type Database = Box<dyn ObjectDatabase>;

pub(super) async fn what_sql_wrote_is_read_and_committed(storage: Shared) {
    let database = open(&storage, 1).await;
    run(&database, "CREATE TABLE t (a INTEGER, b)")
        .await
        .unwrap();
    let insert = "INSERT INTO t VALUES (?1, ?2), (?1 + 1, NULL)";
    let values = [SqlValue::from(7), SqlValue::from("é")];
    let rows = query(&database, insert, values.to_vec()).await.unwrap();
    assert_eq!((rows.written, rows.in_transaction), (2, true));
    assert_eq!(rows.columns, [""; 0]);
    let rows = run(&database, "SELECT a, b AS other FROM t ORDER BY a").await;
    let wanted = [7.into(), "é".into(), 8.into(), SqlValue::Null];
    assert_eq!(rows.as_ref().unwrap().values, wanted);
    assert_eq!(rows.unwrap().columns, ["a", "other"]);
    database.commit(Batch::default()).await.unwrap();
    let rows = run(&database, "SELECT count(*) FROM t").await.unwrap();
    assert_eq!((rows.values, rows.in_transaction), (vec![2.into()], false));
    drop(database);
    let database = open(&storage, 1).await;
    assert_eq!(count(&database, "t").await, 2);
    assert!(database.size().await.unwrap() > 0);
    assert!(storage.has_database(&object(1)).await.unwrap());
    assert!(!storage.has_database(&object(2)).await.unwrap());
}

pub(super) async fn every_value_comes_back(storage: Shared) {
    let database = open(&storage, 1).await;
    let values = [
        SqlValue::Null,
        i64::MIN.into(),
        i64::MAX.into(),
        0.5.into(),
        f64::INFINITY.into(),
        "".into(),
        "it's \0 \"é\"".into(),
        [0xff; 0].into(),
        [0, 0xff, 0xfe].into(),
    ];
    let places: Vec<_> = (1..=values.len()).map(|n| format!("?{n}")).collect();
    let sql = format!("SELECT {}", places.join(", "));
    let rows = query(&database, &sql, values.to_vec()).await.unwrap();
    assert_eq!(rows.values, values);
}

/// Keys, alarm and tables: all or nothing.
pub(super) async fn a_commit_is_one_of_all(storage: Shared) {
    let database = open(&storage, 1).await;
    let mut batch = put([("k", "1")]);
    batch.alarm = Some(AlarmChange::Set(at(u64::MAX)));
    run(&database, "CREATE TABLE t (a UNIQUE)").await.unwrap();
    run(&database, "INSERT INTO t VALUES (1)").await.unwrap();
    database.commit(batch).await.unwrap();

    run(&database, "INSERT INTO t VALUES (2)").await.unwrap();
    database.rollback().await.unwrap();
    assert_eq!(count(&database, "t").await, 1);
    run(&database, "INSERT INTO t VALUES (3)").await.unwrap();
    drop(database);
    let database = open(&storage, 1).await;
    assert_eq!(count(&database, "t").await, 1);

    // A commit that cannot be: what it promises is broken at its end alone.
    let fails = "CREATE TABLE p (a PRIMARY KEY);
        CREATE TABLE c (a REFERENCES p DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO c VALUES (1)";
    run(&database, fails).await.unwrap();
    let mut batch = put([("k", "2"), ("l", "2")]);
    batch.alarm = Some(AlarmChange::Delete);
    database.commit(batch).await.unwrap_err();
    let keys = database.list(Range::ALL).await.unwrap();
    assert_eq!(keys, [(key("k"), key("1"))]);
    assert_eq!(database.alarm().await.unwrap(), Some(at(u64::MAX)));
    run(&database, "SELECT * FROM p").await.unwrap_err();
    database.commit(put([("k", "3")])).await.unwrap();
    let values = database.get(vec![key("no"), key("k")]).await.unwrap();
    assert_eq!(values, [None, Some(key("3"))]);
}

pub(super) async fn cleared_tables_are_gone(storage: Shared) {
    let database = open(&storage, 1).await;
    let all = "CREATE TABLE p (a INTEGER PRIMARY KEY AUTOINCREMENT, b UNIQUE);
        CREATE TABLE c (a REFERENCES p);
        CREATE VIEW v AS SELECT * FROM p;
        CREATE TABLE \"quoted \"\" name\" (a);
        CREATE INDEX i ON c (a);
        CREATE TRIGGER r AFTER DELETE ON p BEGIN DELETE FROM c; END;
        INSERT INTO p (b) VALUES (1);
        INSERT INTO c VALUES (1);";
    run(&database, all).await.unwrap();
    let mut batch = put([("k", "1")]);
    batch.alarm = Some(AlarmChange::Set(at(5)));
    database.commit(batch).await.unwrap();

    database.clear_tables().await.unwrap();
    database.rollback().await.unwrap();
    assert_eq!(count(&database, "v").await, 1);

    database.clear_tables().await.unwrap();
    run(
        &database,
        "CREATE TABLE p (a INTEGER PRIMARY KEY AUTOINCREMENT)",
    )
    .await
    .unwrap();
    database.commit(clear()).await.unwrap();
    assert_eq!(count(&database, "p").await, 0);
    for gone in ["c", "v", "\"quoted \"\" name\""] {
        let select = format!("SELECT * FROM {gone}");
        assert!(run(&database, &select).await.unwrap_err().is_invalid());
    }
    run(&database, "INSERT INTO p DEFAULT VALUES")
        .await
        .unwrap();
    let first = run(&database, "SELECT a FROM p").await.unwrap();
    assert_eq!(first.values, [1.into()]);
    assert_eq!(database.list(Range::ALL).await.unwrap(), []);
    assert_eq!(database.alarm().await.unwrap(), Some(at(5)));
}

/// Of its keys what every storage must hold.
pub(super) async fn keys_and_alarm_are_as_in_a_storage(storage: Shared) {
    let database = open(&storage, 1).await;
    let names: [&[u8]; 5] = [b"", b"\0", b"a", b"a\0", b"\xff"];
    database.commit(put(names.map(|n| (n, n)))).await.unwrap();
    for reverse in [false, true] {
        let range = Range {
            start: std::ops::Bound::Excluded(key("\0")),
            end: std::ops::Bound::Included(key("a\0")),
            reverse,
            limit: 1,
        };
        let found = database.list(range).await.unwrap();
        let wanted = if reverse { "a\0" } else { "a" };
        assert_eq!(found, [(key(wanted), key(wanted))]);
    }
    let mut batch = clear();
    batch.merge(put([("b", "1")]));
    let alarm = Alarm {
        at: 9,
        retries: u32::MAX,
    };
    batch.alarm = Some(AlarmChange::Set(alarm));
    database.commit(batch).await.unwrap();
    let all = database.list(Range::ALL).await.unwrap();
    assert_eq!(all, [(key("b"), key("1"))]);
    assert_eq!(database.alarm().await.unwrap(), Some(alarm));
    let delete = Batch {
        alarm: Some(AlarmChange::Delete),
        ..Batch::default()
    };
    database.commit(delete).await.unwrap();
    assert_eq!(database.alarm().await.unwrap(), None);
    // The shared part knows nothing of it.
    assert_eq!(storage.list(&object(1), Range::ALL).await.unwrap(), []);
    assert_eq!(storage.alarms(9).await.unwrap(), []);
}

pub(super) async fn databases_are_apart(storage: Shared) {
    let (one, two) = (open(&storage, 1).await, open(&storage, 2).await);
    run(&one, "CREATE TABLE t (a)").await.unwrap();
    run(&two, "CREATE TABLE t (b)").await.unwrap();
    two.commit(put([("k", "2")])).await.unwrap();
    one.commit(Batch::default()).await.unwrap();
    assert_eq!(one.get(vec![key("k")]).await.unwrap(), [None]);
    run(&one, "SELECT a FROM t").await.unwrap();
    run(&two, "SELECT b FROM t").await.unwrap();
}

pub(super) async fn dropped_queries_are_in_order(storage: Shared) {
    let database = open(&storage, 1).await;
    run(&database, "CREATE TABLE t (a)").await.unwrap();
    for _ in 0..100 {
        let _ = poll_once(&mut database.query(asked("INSERT INTO t VALUES (1)")));
        let _ = poll_once(&mut database.get(vec![key("k")]));
    }
    database.rollback().await.unwrap();
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 't'";
    let tables = run(&database, tables).await.unwrap();
    assert_eq!(tables.values, [0.into()]);
}

pub(super) async fn tables_are_there_again<P, S: Storage>(
    (place, open_storage): (&P, &impl AsyncFn(&P) -> S),
) {
    let storage = open_storage(place).await;
    let database = storage.open_database(&object(1)).await.unwrap();
    let create = "CREATE TABLE t (a); INSERT INTO t VALUES (1)";
    database.query(asked(create)).await.unwrap();
    database.commit(put([("k", "1")])).await.unwrap();
    let lost = "INSERT INTO t VALUES (2)";
    database.query(asked(lost)).await.unwrap();
    drop((database, storage));

    let storage = open_storage(place).await;
    assert!(storage.has_database(&object(1)).await.unwrap());
    let database = storage.open_database(&object(1)).await.unwrap();
    assert_eq!(count(&database, "t").await, 1);
    let value = database.get(vec![key("k")]).await.unwrap();
    assert_eq!(value, [Some(key("1"))]);
}

pub(super) async fn open(storage: &Shared, number: u32) -> Database {
    storage.open_database(&object(number)).await.unwrap()
}

pub(super) fn asked(sql: &str) -> SqlQuery {
    SqlQuery {
        sql: sql.to_owned(),
        params: Vec::new(),
        max_bytes: 1 << 20,
        deadline: Instant::now() + Duration::from_secs(60),
    }
}

async fn query(database: &Database, sql: &str, params: Vec<SqlValue>) -> Result<SqlRows> {
    let query = SqlQuery {
        params,
        ..asked(sql)
    };
    database.query(query).await
}

pub(super) async fn run(database: &Database, sql: &str) -> Result<SqlRows> {
    database.query(asked(sql)).await
}

pub(super) async fn count(database: &Database, table: &str) -> i64 {
    let rows = run(database, &format!("SELECT count(*) FROM {table}")).await;
    match rows.unwrap().values[..] {
        [SqlValue::Integer(count)] => count,
        ref other => panic!("{other:?}"),
    }
}
