//! The counter while its disk fails: each client that loses an increment by it gets 1011 and
//! nothing else, reads go on, and the next increment works when the disk does again. In
//! some rounds it is killed in between. No answered count is lost or given twice.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::books::{Books, Told, clients, rounds};
use super::example;
use crate::program::Program;
use crate::raw::{Frame, RawClient};

#[test]
fn no_answered_count_is_lost_or_given_twice_when_files_may_not_grow() {
    // Nothing at all, or so much of a file, perhaps in the middle of a write.
    survives(|random| match random.random() {
        true => Fault::Limit(0),
        false => Fault::Limit(random.random_range(0..256 << 10)),
    });
}

#[test]
fn no_answered_count_is_lost_or_given_twice_when_the_disk_is_full() {
    survives(|_| Fault::Full);
}

#[test]
fn no_answered_count_is_lost_or_given_twice_when_nothing_is_synced() {
    survives(|_| Fault::Broken);
}

#[test]
fn a_server_that_starts_on_such_a_disk_says_so_and_ends() {
    for (fault, wanted) in [("full", "No space left"), ("broken", "disk I/O error")] {
        let disk = Disk::new();
        disk.set(fault);
        let (status, said) = disk.begin().ended();
        assert!(!status.success());
        assert!(said.contains(wanted), "{said}");
        assert!(said.contains(text(disk.data.path())), "{said}");
        // Nothing is left of it that is in the way.
        disk.works();
        disk.start();
    }
}

/// Each increment makes the log of commits longer, until it starts afresh.
#[test]
fn a_disk_with_less_room_than_the_log_would_take_is_no_error() {
    let mut disk = Disk::new();
    disk.most = Some(256 << 10);
    let (_counter, addr) = disk.start();
    Runtime::new().unwrap().block_on(async {
        let mut client = RawClient::open_at(addr, "/counter/0").await;
        for count in 1..=200 {
            client.send(Frame::text("incr")).await;
            client.expect_text(&count.to_string()).await;
        }
    });
}

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// No file gets longer than so many bytes (EFBIG).
    Limit(u64),
    /// No file takes a byte more (ENOSPC).
    Full,
    /// What was written cannot be synced (EIO).
    Broken,
}

fn survives(fault: impl Fn(&mut StdRng) -> Fault) {
    // `.ci/run` asks for hundreds.
    let (rounds, mut random) = rounds(8);
    let disk = Disk::new();
    let runtime = Runtime::new().unwrap();
    let mut books = Books::default();
    let (mut counter, mut addr) = disk.start();
    let mut failed = 0;
    for round in 0..rounds {
        let killed = random.random_ratio(1, 4);
        let fault = fault(&mut random);
        let life = Duration::from_micros(random.random_range(0..50_000));
        let told = runtime.block_on(async {
            let busy = Arc::new(Notify::new());
            let clients = clients(addr, &busy);
            busy.notified().await;
            sleep(life).await;
            disk.fails(&counter, fault);
            // A limit beyond the log's end may be reached late, or never.
            sleep(Duration::from_millis(50)).await;
            if let Fault::Limit(_) = fault {
                disk.fails(&counter, Fault::Limit(0));
            }
            if killed {
                counter.signal(Signal::KILL);
            }
            clients.join_all().await
        });
        for told in &told {
            let failed_so = told.refused || told.closed == Some(1011);
            assert!(killed || failed_so, "{fault:?}: {:?}", told.closed);
            failed += usize::from(told.closed == Some(1011));
        }
        books.note(told);
        if killed {
            drop(counter);
            disk.works();
            (counter, addr) = disk.start();
        } else {
            runtime.block_on(fails_and_reads(addr, &mut books));
            disk.works();
            limit_files(&counter, None);
        }
        runtime.block_on(books.check(addr, round));
        // The cause is gone: the next increment is the next count.
        let told = runtime.block_on(one_more(addr));
        books.note(vec![told]);
        runtime.block_on(books.check(addr, round));
    }
    // What is in memory agrees with the disk.
    drop(counter);
    let (_counter, addr) = disk.start();
    runtime.block_on(books.check(addr, rounds));
    let all = books.answers();
    println!("{all} answered, {failed} closed with 1011");
    assert!(all > rounds);
}

/// A disk that fails on demand.
struct Disk {
    data: TempDir,
    /// What the program is started with, and the files that it looks for.
    tools: TempDir,
    /// Bytes that a file may have.
    most: Option<u64>,
}

impl Disk {
    fn new() -> Self {
        let disk = Self {
            data: tempfile::tempdir().unwrap(),
            tools: tempfile::tempdir().unwrap(),
            most: None,
        };
        let source = disk.tool("disk.c");
        fs::write(&source, include_str!("disk.c")).unwrap();
        // It is there: Rust links by it.
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&disk.tool("disk.so"), &source])
            .arg("-ldl")
            .status();
        assert!(built.unwrap().success());
        disk
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.tools.path().join(name)
    }

    fn start(&self) -> (Program, SocketAddr) {
        let mut counter = self.begin();
        let addr = counter.addr();
        (counter, addr)
    }

    /// A write that is too far into a file is an error, and not the process's end.
    fn begin(&self) -> Program {
        let mut command = Command::new("sh");
        // What is ignored stays so.
        command.args(["-c", "trap '' XFSZ; LD_PRELOAD=$DISK exec \"$0\""]);
        command.arg(example("counter").get_program());
        let tools = ["disk.so", "full", "broken"].map(|name| self.tool(name));
        let [tool, full, broken] = tools.each_ref().map(|path| text(path));
        let most = self.most.unwrap_or(i64::MAX as u64).to_string();
        let env = [
            ("DISK_MOST", &*most),
            ("WSWORKER_DATA", text(self.data.path())),
            ("DISK", tool),
            ("DISK_FULL", full),
            ("DISK_BROKEN", broken),
        ];
        Program::start(command, &env)
    }

    /// From now on.
    fn fails(&self, counter: &Program, fault: Fault) {
        match fault {
            Fault::Limit(bytes) => limit_files(counter, Some(bytes)),
            Fault::Full => self.set("full"),
            Fault::Broken => self.set("broken"),
        }
    }

    fn set(&self, fault: &str) {
        fs::write(self.tool(fault), "").unwrap();
    }

    /// Again, but for a limit, which is the process's.
    fn works(&self) {
        for fault in ["full", "broken"] {
            let _ = fs::remove_file(self.tool(fault));
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes beyond so many bytes of a file fail from now on.
fn limit_files(program: &Program, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(program.pid()), Resource::Fsize, limit).unwrap();
}

/// While commits fail: `incr` is answered by 1011 alone, `get` by the last durable count.
async fn fails_and_reads(addr: SocketAddr, books: &mut Books) {
    let mut plain = RawClient::connect(addr).await;
    let before = plain.get("/counter/0").await.text().to_owned();
    for _ in 0..3 {
        let mut client = RawClient::open_at(addr, "/counter/0").await;
        client.send(Frame::text("incr")).await;
        client.expect_close(1011).await;
        *books.unanswered.entry(0).or_default() += 1;
        assert_eq!(plain.get("/counter/0").await.text(), before);
    }
    let mut client = RawClient::open_at(addr, "/counter/0").await;
    client.send(Frame::text("get")).await;
    client.expect_text(before.trim()).await;
    client.send(Frame::text("more")).await;
    client.expect_text(r#"{"error":"send incr or get"}"#).await;
}

/// One increment, on a new connection.
async fn one_more(addr: SocketAddr) -> Told {
    let mut plain = RawClient::connect(addr).await;
    let before: u64 = plain.get("/counter/0").await.text().trim().parse().unwrap();
    let mut client = RawClient::open_at(addr, "/counter/0").await;
    client.send(Frame::text("incr")).await;
    client.expect_text(&(before + 1).to_string()).await;
    let mut told = Told::of(0);
    told.counts.push(before + 1);
    told
}
