//! The `counter` example: its answers, and that neither a kill -9 nor a disk that does not
//! take what is written loses one of them.

mod books;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod disk;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::sleep;

use self::books::{Books, clients, rounds};
use super::example;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

fn start(data: &Path) -> (Program, SocketAddr) {
    let data = data.to_str().unwrap();
    let mut counter = Program::start(example("counter"), &[("WSWORKER_DATA", data)]);
    let addr = counter.addr();
    (counter, addr)
}

#[test]
fn it_counts_each_name_and_keeps_the_counts_over_a_restart() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (counter, addr) = start(data.path());
        let mut client = RawClient::open_at(addr, "/counter/a").await;
        for (sent, answer) in [
            ("get", "0"),
            ("incr", "1"),
            ("incr", "2"),
            ("get", "2"),
            ("INCR", r#"{"error":"send incr or get"}"#),
            ("get", "2"),
        ] {
            client.send(Frame::text(sent)).await;
            client.expect_text(answer).await;
        }
        let mut other = RawClient::open_at(addr, "/counter/b").await;
        other.send(Frame::text("get")).await;
        other.expect_text("0").await;
        counter.signal(Signal::TERM);
        let (status, _) = counter.ended();
        assert!(status.success());

        let (_counter, addr) = start(data.path());
        let mut plain = RawClient::connect(addr).await;
        assert_eq!(plain.get("/counter/a").await.text(), "2\n");
        assert_eq!(plain.get("/counter/b").await.text(), "0\n");
        assert_eq!(plain.get("/elsewhere").await.status, 404);
    });
}

#[test]
fn a_name_is_decoded_and_one_that_cannot_be_is_400() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_counter, addr) = start(data.path());
        let mut client = RawClient::open_at(addr, "/counter/caf%C3%A9%2Fbar").await;
        client.send(Frame::text("incr")).await;
        client.expect_text("1").await;
        let mut plain = RawClient::connect(addr).await;
        let same = plain.get("/counter/c%61f%c3%a9%2fbar").await;
        assert_eq!(same.text(), "1\n");
        // A slash that is not escaped is the path's.
        assert_eq!(plain.get("/counter/caf%C3%A9/bar").await.status, 404);
        for (path, wanted) in [
            ("/counter/%zz", "'%zz' in the path has a '%' without"),
            ("/counter/a%f", "'a%f' in the path has a '%' without"),
            ("/counter/%ff", "'%ff' in the path is not UTF-8"),
        ] {
            let refused = plain.get(path).await;
            assert_eq!(refused.status, 400, "{path}");
            assert!(refused.text().starts_with(wanted), "{}", refused.text());
        }
        assert_eq!(plain.get("/counter/").await.status, 404);
    });
}

#[test]
fn a_second_process_on_the_same_data_says_so_and_ends() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_first, _) = start(data.path());
        let env = [("WSWORKER_DATA", data.path().to_str().unwrap())];
        let second = Program::start(example("counter"), &env);
        let (status, said) = second.ended();
        assert!(!status.success());
        assert!(said.contains("in use"), "{said}");
    });
}

#[test]
fn no_answered_count_is_lost_or_given_twice_over_kills() {
    // `.ci/run` asks for hundreds.
    let (rounds, mut random) = rounds(8);
    let data = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut books = Books::default();
    for round in 0..rounds {
        let (counter, addr) = start(data.path());
        let life = Duration::from_micros(random.random_range(0..100_000));
        let told = runtime.block_on(async {
            let busy = Arc::new(Notify::new());
            let clients = clients(addr, &busy);
            // In the middle of its work, however slow the machine is.
            busy.notified().await;
            sleep(life).await;
            counter.signal(Signal::KILL);
            clients.join_all().await
        });
        drop(counter);
        books.note(told);
        let (_counter, addr) = start(data.path());
        runtime.block_on(books.check(addr, round));
    }
    let all = books.answers();
    println!("{all} answered over {rounds} kills");
    assert!(all > rounds, "{all} answered over {rounds} kills");
}
