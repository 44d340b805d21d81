//! A worker with `failed = "keep"`: its socket goes on after a callback that failed.

use wsworker::prelude::*;

use crate::raw::{Frame, RawClient};
use crate::server::{Served, within};

/// Says what it hears, and what went wrong.
#[worker(failed = "keep")]
#[derive(Clone)]
struct Patient {
    heard: usize,
}

impl Worker for Patient {
    async fn on_open(&mut self, _ws: &WebSocket, req: &Request) -> Result<()> {
        match req.path() {
            "/open-fail" => Err(Error::new("not open")),
            _ => Ok(()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.heard += 1;
        let text = message.as_text().unwrap_or_default();
        if text.starts_with("slow") {
            tokio::task::yield_now().await;
        }
        match text.trim_start_matches("slow ") {
            "fail" => Err(Error::new("as told")),
            "panic" => panic!("as told"),
            text => ws.send(format!("{} {text}", self.heard)),
        }
    }

    async fn on_error(&mut self, ws: &WebSocket, error: &Error) {
        let _ = ws.send(format!("{} error: {error}", self.heard));
    }
}

#[test]
fn a_socket_that_is_kept_hears_of_the_error_and_then_the_next_message() {
    within(async || {
        let server = Served::start(Patient { heard: 0 }).await;
        for failing in ["fail", "slow fail"] {
            let mut client = RawClient::open(server.addr).await;
            let messages = ["before", failing, failing, "after", "slow after"];
            client.send_all(messages.map(Frame::text)).await;
            client.expect_text("1 before").await;
            client.expect_text("2 error: as told").await;
            client.expect_text("3 error: as told").await;
            client.expect_text("4 after").await;
            client.expect_text("5 after").await;
            client.close().await;
        }
    });
}

#[test]
fn a_socket_is_kept_after_an_error_in_on_open() {
    within(async || {
        let server = Served::start(Patient { heard: 0 }).await;
        let mut client = RawClient::open_at(server.addr, "/open-fail").await;
        client.expect_text("0 error: not open").await;
        client.send(Frame::text("after")).await;
        client.expect_text("1 after").await;
        client.close().await;
    });
}

#[test]
fn a_peer_that_closes_behind_a_kept_failure_gets_its_own_close_back() {
    within(async || {
        let server = Served::start(Patient { heard: 0 }).await;
        let mut client = RawClient::open(server.addr).await;
        let last = [Frame::text("slow fail"), Frame::close(4001, "done")];
        client.send_all(last).await;
        client.expect_text("1 error: as told").await;
        assert_eq!(client.expect_close(4001).await, "done");
        client.expect_clean_eof().await;
    });
}

#[test]
fn no_socket_is_kept_after_a_panic_of_its_worker() {
    within(async || {
        let server = Served::start(Patient { heard: 0 }).await;
        let mut client = RawClient::open(server.addr).await;
        client.send_all(["panic", "after"].map(Frame::text)).await;
        client.expect_text("1 error: panicked: as told").await;
        client.expect_close(1011).await;
        client.expect_eof().await;
    });
}
