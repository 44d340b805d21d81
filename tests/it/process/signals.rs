//! SIGINT and SIGTERM: the drain, its deadline, the second signal.
//! Does not treat a drain that a handle asks for: `serve::shutdown` does.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::sleep;
use wsworker::prelude::*;

use super::Echo;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

async fn drains_on(signal: Signal) {
    let mut echo = Echo::start(&[]);
    let addr = echo.addr();
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(RawClient::open(addr).await);
    }
    echo.signal(signal);
    for mut client in clients {
        client.expect_close(1001).await;
        client.send(Frame::close(1001, "")).await;
        client.expect_clean_eof().await;
    }
    let (status, said) = echo.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    let wanted = "draining 8 connections, at most 10s; again to exit at once\ndrained";
    assert!(said.ends_with(wanted), "{said}");
}

#[test]
fn sigterm_drains_and_the_status_is_0() {
    within(async || drains_on(Signal::TERM).await);
}

#[test]
fn sigint_drains_and_the_status_is_0() {
    within(async || drains_on(Signal::INT).await);
}

#[test]
fn no_connection_is_taken_while_draining() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let addr = echo.addr();
        let mut client = RawClient::open(addr).await;
        echo.signal(Signal::TERM);
        client.expect_close(1001).await;
        assert!(TcpStream::connect(addr).await.is_err());
    });
}

#[test]
fn the_drain_deadline_ends_the_process() {
    within(async || {
        let mut echo = Echo::start(&[("WSWORKER_DRAIN_TIMEOUT", "300ms")]);
        let mut client = RawClient::open(echo.addr()).await;
        let begun = Instant::now();
        echo.signal(Signal::TERM);
        client.expect_close(1001).await;
        let (status, said) = echo.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        let took = begun.elapsed();
        assert!(took > Duration::from_millis(200), "{took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        let wanted = "draining 1 connection, at most 300ms; again to exit at once\n\
                      dropped 1 connection that did not end in time";
        assert!(said.ends_with(wanted), "{said}");
    });
}

#[test]
fn without_connections_it_is_drained_at_once() {
    within(async || {
        let mut echo = Echo::start(&[]);
        echo.addr();
        echo.signal(Signal::TERM);
        let (status, said) = echo.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.ends_with("\ndrained"), "{said}");
        assert!(!said.contains("draining"), "{said}");
    });
}

#[test]
fn a_second_signal_ends_it_at_once_with_that_signals_status() {
    within(async || {
        let (int, term) = (Signal::INT, Signal::TERM);
        for (first, second, status) in [
            (int, int, 130),
            (int, term, 143),
            (term, int, 130),
            (term, term, 143),
        ] {
            let mut echo = Echo::start(&[]);
            let mut client = RawClient::open(echo.addr()).await;
            echo.signal(first);
            client.expect_close(1001).await;
            let begun = Instant::now();
            echo.signal(second);
            let (ended, said) = echo.ended();
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
            assert_eq!(ended.code(), Some(status), "{said}");
        }
    });
}

/// Says "blocked", and then blocks its thread.
#[worker]
#[derive(Clone)]
struct Blocks;

impl Worker for Blocks {
    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        println!("blocked");
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    }
}

const SERVES_BLOCKS: &str = "TEST_SERVES_BLOCKS";

/// The process of the test below, which runs this test's program for it.
#[test]
#[ignore = "serves until it is told to end"]
fn blocks_is_served() {
    if std::env::var_os(SERVES_BLOCKS).is_some() {
        wsworker::run(Blocks).unwrap();
    }
}

#[test]
fn a_second_signal_ends_it_while_every_thread_is_blocked() {
    within(async || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let name = "process::signals::blocks_is_served";
        command.args(["--ignored", "--exact", "--nocapture", name]);
        let env = [(SERVES_BLOCKS, "1"), ("WSWORKER_THREADS", "1")];
        let mut process = Program::start(command, &env);
        let mut client = RawClient::open(process.addr()).await;
        client.send(Frame::text("block")).await;
        process.says("blocked");
        // The first asks the blocked thread, which cannot hear. Two that are
        // pending at once run in the order that the kernel likes.
        process.signal(Signal::INT);
        while process.child.try_wait().unwrap().is_none() {
            process.signal(Signal::TERM);
            sleep(Duration::from_millis(5)).await;
        }
        let (status, said) = process.ended();
        assert!(matches!(status.code(), Some(130 | 143)), "{status}: {said}");
    });
}
