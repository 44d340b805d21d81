//! The files of objects with SQL: there again after a restart, closed when they sleep,
//! and each one's trouble its own.

use std::fs;
use std::path::PathBuf;

use tempfile::tempdir;
use wsworker::storage::ObjectKey;

use super::*;
use crate::log::Logged;

/// Of the files in this directory that the process has open.
#[cfg(target_os = "linux")]
fn open_files(directory: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let paths = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    paths.filter(|path| path.starts_with(directory)).count()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let class = fs::read_dir(directory.join("objects/Ledger")).unwrap();
    let paths = class.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "db"))
        .collect()
}

/// Until it holds: files are closed on another thread.
async fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempdir().unwrap();
    let server = ledgers_in(directory.path()).await;
    ask(
        &server,
        &[
            "sql INSERT INTO t VALUES (1, 'x')",
            "put k",
            "alarm 3600000",
        ],
    )
    .await;
    let fails = ["sql INSERT INTO t VALUES (2, 2)", "fail"];
    assert_eq!(tell(&server, "a", &fails).await, Err(500));
    server.shutdown().await.unwrap();

    let server = ledgers_in(directory.path()).await;
    let said = ask(&server, &["sql SELECT * FROM t", "get k", "has-alarm"]).await;
    assert_eq!(said, "1,x\nSome(true)\ntrue");
    assert_eq!(files(directory.path()).len(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_object_that_hibernates_closes_its_file() {
    let directory = tempdir().unwrap();
    let place = fs::canonicalize(directory.path()).unwrap().join("objects");
    let server = ledgers_in(directory.path()).await;
    for name in ["a", "b", "c"] {
        let insert = ["sql INSERT INTO t VALUES (1, 1)"];
        tell(&server, name, &insert).await.unwrap();
    }
    assert!(open_files(&place) >= 3);
    eventually(|| open_files(&place) == 0).await;
    assert_eq!(ask(&server, &[COUNT]).await, "1");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_its_objects_alone() {
    let directory = tempdir().unwrap();
    let server = ledgers_in(directory.path()).await;
    for name in ["a", "c"] {
        let insert = ["sql INSERT INTO t VALUES (1, 1)"];
        tell(&server, name, &insert).await.unwrap();
    }
    server.shutdown().await.unwrap();
    let files = files(directory.path());
    let good = fs::read(&files[0]).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..][..bytes.len()].copy_from_slice(bytes);
        changed
    };
    // Where the file format has these: "user version", "application id".
    for (wrong, told) in [
        (with(0, b"a text"), "is no SQLite database"),
        (
            with(60, &99_u32.to_be_bytes()),
            "was written by a newer version: schema 99",
        ),
        (
            with(68, &7_u32.to_be_bytes()),
            "belongs to another application: its id is 0x7",
        ),
        (good[..5000].to_vec(), "is damaged"),
        (
            fs::read(&files[1]).unwrap(),
            "belongs to another object than Ledger:",
        ),
    ] {
        fs::write(&files[0], wrong).unwrap();
        let storage = SqliteStorage::open(directory.path()).unwrap();
        let object = object_of(&files[0]);
        let error = storage.open_database(&object).await.err().expect(told);
        assert!(
            error.is_storage() && error.to_string().contains(told),
            "{error}"
        );
        assert!(error.to_string().contains(".db"), "{error}");
        let other = storage.open_database(&object_of(&files[1])).await;
        drop(other.unwrap());
    }
    fs::write(&files[0], good).unwrap();
    let server = ledgers_in(directory.path()).await;
    assert_eq!(ask(&server, &[COUNT]).await, "1");
}

/// Whose file it is.
fn object_of(file: &Path) -> ObjectKey {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let digits = |at: usize| u8::from_str_radix(&name[2 * at..][..2], 16).unwrap();
    ObjectKey {
        class: "Ledger".into(),
        id: std::array::from_fn(digits),
    }
}

#[tokio::test]
async fn sql_never_runs_on_the_runtimes_thread() {
    let directory = tempdir().unwrap();
    let server = ledgers_in(directory.path()).await;
    let long = "sql WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000)
        SELECT count(*) FROM n";
    let long = long.replace('\n', " ");
    let lines = [&*long];
    let running = ask(&server, &lines);
    let mut turns = 0;
    let counting = async {
        loop {
            turns += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        said = running => assert_eq!(said, "2000000"),
        () = counting => {}
    }
    assert!(turns > 3, "{turns}");
}

mod changed {
    //! The same class, before it had SQL.
    use super::*;

    #[durable_object(name = "Ledger")]
    pub(super) struct Plain {
        ctx: ObjectContext,
    }

    impl DurableObject for Plain {
        async fn new(ctx: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self { ctx })
        }

        async fn fetch(&mut self, req: Request) -> Result<Response> {
            if req.path() == "/alarm" {
                let hour = Duration::from_secs(3600);
                self.ctx.storage().set_alarm_after(hour)?;
            } else {
                self.ctx.storage().put("k", &true)?;
            }
            Ok(Response::text("done"))
        }
    }

    #[worker(objects(Plain))]
    #[derive(Clone)]
    pub(super) struct Plains;

    impl Worker for Plains {
        async fn fetch(&mut self, req: Request, env: &Env) -> Result<Response> {
            let name = req.path()[1..].to_owned();
            env.durable_object::<Plain>()
                .get_by_name(&name)
                .fetch(req)
                .await
        }
    }
}

#[tokio::test]
async fn a_class_that_gains_or_loses_sql_is_an_error_and_no_empty_state() {
    let directory = tempdir().unwrap();
    let plain = async || {
        let storage = SqliteStorage::open(directory.path()).unwrap();
        let server = Server::new(changed::Plains).storage(storage);
        TestServer::start(server, Via::Memory).await.unwrap()
    };
    let server = plain().await;
    for name in ["a", "alarm"] {
        assert_eq!(tell(&server, name, &[]).await, Ok("done".into()));
    }
    server.shutdown().await.unwrap();

    let server = ledgers_in(directory.path()).await;
    for name in ["a", "alarm"] {
        assert_eq!(tell(&server, name, &[COUNT]).await, Err(500), "{name}");
    }
    assert_eq!(tell(&server, "b", &[COUNT]).await, Ok("0".into()));
    server.shutdown().await.unwrap();

    let server = plain().await;
    assert_eq!(tell(&server, "a", &[]).await, Ok("done".into()));
    assert_eq!(tell(&server, "b", &[]).await, Err(500));
}

#[tokio::test(start_paused = true)]
async fn the_alarm_of_a_class_that_lost_sql_is_put_off_and_comes_when_it_has_it_again() {
    let logged = Logged::start();
    let storage = Arc::new(MemoryStorage::new());
    let server = ledgers_on(storage.clone()).await;
    ask(&server, &["alarm 1000"]).await;
    server.shutdown().await.unwrap();

    let plain = Server::new(changed::Plains).storage(storage.clone());
    let plain = TestServer::start(plain, Via::Memory).await.unwrap();
    tokio::time::sleep(Duration::from_secs(150)).await;
    let tries = logged.take("the alarm of Ledger");
    assert!((2..=4).contains(&tries.len()), "{tries:?}");
    plain.shutdown().await.unwrap();

    // A server's clock begins with the system's, which no test moves.
    let server = ledgers_on(storage).await;
    tokio::time::sleep(Duration::from_secs(150 + 70)).await;
    let alarms = "sql SELECT count(*) FROM t WHERE b = 'alarm'";
    assert_eq!(ask(&server, &[alarms]).await, "1");
}

#[tokio::test]
async fn a_backup_has_the_objects_files_and_their_alarms() {
    let directory = tempdir().unwrap();
    let (data, copies) = (
        directory.path().join("data"),
        directory.path().join("copies"),
    );
    fs::create_dir(&copies).unwrap();
    let storage = Arc::new(SqliteStorage::open(&data).unwrap());
    let server = ledgers_on(storage.clone()).await;
    ask(
        &server,
        &[
            "sql INSERT INTO t VALUES (1, 'x')",
            "put k",
            "alarm 3600000",
        ],
    )
    .await;
    tell(&server, "b", &["alarm 7200000", "put k"])
        .await
        .unwrap();
    storage.backup(copies.join("objects.db")).await.unwrap();
    let alarms = storage.alarms(9).await.unwrap();
    assert_eq!(alarms.len(), 2);
    ask(
        &server,
        &["sql INSERT INTO t VALUES (2, 'later')", "no-alarm"],
    )
    .await;
    let again = storage.backup(copies.join("other.db")).await.unwrap_err();
    assert!(
        again.to_string().contains("objects: it is there already"),
        "{again}"
    );
    server.shutdown().await.unwrap();

    let mut names: Vec<_> = fs::read_dir(&copies)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["objects", "objects.db"]);
    let copy = SqliteStorage::open(&copies).unwrap();
    assert_eq!(copy.alarms(9).await.unwrap(), alarms);
    let server = ledgers_on(copy).await;
    let said = ask(&server, &["sql SELECT * FROM t", "get k", "has-alarm"]).await;
    assert_eq!(said, "1,x\nSome(true)\ntrue");
}
