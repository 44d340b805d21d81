//! SQL that fails, that may not be run, that does not end: what it leaves.

use std::time::{Duration, Instant};

use super::sql::{asked, count, open, run};
use super::{Shared, key, put};
use crate::storage::{Batch, Range};

pub(super) async fn a_query_that_fails_does_nothing(storage: Shared) {
    let database = open(&storage, 1).await;
    run(&database, "CREATE TABLE t (a UNIQUE)").await.unwrap();
    run(&database, "INSERT INTO t VALUES (1)").await.unwrap();
    let error = run(&database, "INSERT INTO t VALUES (2), (1)").await;
    assert!(error.unwrap_err().is_constraint());
    for wrong in [
        "INSERT INTO t VALUES (2); nonsense",
        "INSERT INTO t VALUES (2); INSERT INTO t VALUES (?1)",
        "INSERT INTO t VALUES (?1); SELECT 1",
        "UPDATE t SET a = 5; SELECT \"a\" FROM nowhere",
        "SELECT 'open",
        " ; ",
        "",
    ] {
        let error = run(&database, wrong).await.unwrap_err();
        assert!(error.is_invalid(), "{wrong}: {error}");
    }
    let mut large = asked("INSERT INTO t VALUES (3) RETURNING zeroblob(5000)");
    large.max_bytes = 4000;
    let error = database.query(large).await.unwrap_err();
    assert!(
        error.is_invalid() && error.to_string().contains("LIMIT"),
        "{error}"
    );
    assert_eq!(count(&database, "t").await, 1);
    database.commit(Batch::default()).await.unwrap();
    assert_eq!(count(&database, "t").await, 1);
}

pub(super) async fn a_transaction_that_is_lost_cannot_go_on(storage: Shared) {
    let database = open(&storage, 1).await;
    run(&database, "CREATE TABLE t (a UNIQUE)").await.unwrap();
    database.commit(Batch::default()).await.unwrap();
    run(&database, "INSERT INTO t VALUES (1)").await.unwrap();
    let lost = run(&database, "INSERT OR ROLLBACK INTO t VALUES (1)").await;
    assert!(lost.unwrap_err().is_constraint());
    assert!(run(&database, "SELECT 1").await.is_err());
    assert!(database.commit(put([("k", "1")])).await.is_err());
    assert_eq!(count(&database, "t").await, 0);
    assert_eq!(database.get(vec![key("k")]).await.unwrap(), [None]);
}

pub(super) async fn sql_may_not_leave_its_tables(storage: Shared) {
    let database = open(&storage, 1).await;
    run(&database, "CREATE TABLE t (a)").await.unwrap();
    database.commit(put([("k", "1")])).await.unwrap();
    for refused in [
        "BEGIN",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT x",
        "RELEASE x",
        "ATTACH 'x.db' AS x",
        "ATTACH ':memory:' AS x",
        "DETACH main",
        "VACUUM",
        "/**/ vacuum INTO 'x.db'",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA synchronous = OFF",
        "PRAGMA user_version = 7",
        "PRAGMA application_id = 7",
        "PRAGMA writable_schema = ON",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA wal_checkpoint",
        "PRAGMA locking_mode = EXCLUSIVE",
        "CREATE TEMP TABLE x (a)",
        "SELECT load_extension('x')",
        "INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)",
        "SELECT 1; COMMIT",
    ] {
        let error = run(&database, refused).await;
        let error = error.expect_err(refused);
        assert!(error.is_invalid(), "{refused}: {error}");
    }
    run(&database, "INSERT INTO t VALUES (1)").await.unwrap();
    database.rollback().await.unwrap();
    assert_eq!(count(&database, "t").await, 0);
    assert_eq!(
        database.list(Range::ALL).await.unwrap(),
        [(key("k"), key("1"))]
    );
}

pub(super) async fn sql_that_does_not_end_is_interrupted(storage: Shared) {
    let database = open(&storage, 1).await;
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
        SELECT count(*) FROM n";
    let mut query = asked(endless);
    query.deadline = Instant::now() + Duration::from_millis(50);
    let error = database.query(query).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    run(&database, "SELECT 1").await.unwrap();
}
