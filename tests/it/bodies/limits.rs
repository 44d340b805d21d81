//! Bodies of requests that are too large, or too slow.
//! Does not treat heads of that kind: `opening` does.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{SHORT, Site};
use crate::raw::Head;
use crate::server::within;

#[test]
fn a_body_over_the_limit_is_413_by_its_length_alone() {
    within(async || {
        let site = Site::start_with(|s| s.max_body(1000)).await;
        for path in ["/text", "/chunks", "/json"] {
            let mut client = site.connect().await;
            let head = Head::post(path, client.host()).with("Content-Length", "1001");
            client.send_raw(head.encode()).await;
            let answer = client.read_response().await;
            assert_eq!(answer.status, 413, "{path}");
            assert_eq!(answer.text(), "the body has 1001 bytes; the limit is 1000");
            assert!(answer.has_token("connection", "close"));
            client.expect_eof().await;
        }
    });
}

#[test]
fn a_body_that_goes_on_over_the_limit_is_413() {
    within(async || {
        let site = Site::start_with(|s| s.max_body(1000)).await;
        for path in ["/text", "/chunks"] {
            let mut client = site.connect().await;
            let head = Head::post(path, client.host()).with("Transfer-Encoding", "chunked");
            client.send_raw(head.encode()).await;
            for _ in 0..3 {
                client
                    .send_raw(format!("190\r\n{}\r\n", "x".repeat(400)))
                    .await;
            }
            let answer = client.read_response().await;
            assert_eq!(answer.status, 413, "{path}");
            let text = answer.text();
            assert_eq!(text, "the body has more than 1000 bytes; the limit is 1000");
            client.expect_eof().await;
        }
    });
}

#[test]
fn a_body_of_just_the_limit_is_read() {
    within(async || {
        let site = Site::start_with(|s| s.max_body(1000)).await;
        let mut client = site.connect().await;
        let body = "x".repeat(1000);
        for path in ["/length", "/chunks"] {
            assert_eq!(client.post(path, &body).await.text(), "1000");
        }
        let head = Head::post("/length", client.host()).with("Transfer-Encoding", "chunked");
        client.send_raw(head.encode()).await;
        client.send_raw(format!("3e8\r\n{body}\r\n0\r\n\r\n")).await;
        assert_eq!(client.read_response().await.text(), "1000");
    });
}

#[test]
fn the_limit_is_1_mib_and_a_worker_may_set_its_own() {
    within(async || {
        let site = Site::start().await;
        let body = vec![b'x'; (1 << 20) + 1];
        let mut client = site.connect().await;
        let head = Head::post("/length", client.host());
        let head = head.with("Content-Length", &body.len().to_string());
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 413);
        let mut client = site.connect().await;
        assert_eq!(client.post("/large", &body).await.text(), "1048577");
    });
}

#[test]
fn a_client_that_sends_on_hears_its_413() {
    within(async || {
        let site = Site::start_with(|s| s.max_body(1000)).await;
        let mut client = site.connect().await;
        let body = vec![b'x'; 200_000];
        assert_eq!(client.post("/text", &body).await.status, 413);
        client.expect_eof().await;
    });
}

#[test]
fn a_body_that_stops_is_408() {
    within(async || {
        let site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        for start in ["", "some"] {
            let mut client = site.connect().await;
            let begun = Instant::now();
            let head = Head::post("/text", client.host()).with("Content-Length", "100");
            client.send_raw(head.encode()).await;
            client.send_raw(start).await;
            let answer = client.read_response().await;
            assert_eq!(answer.status, 408);
            assert_eq!(answer.text(), "the body did not come in time");
            assert!(answer.has_token("connection", "close"));
            assert!(begun.elapsed() >= SHORT * 8 / 10, "{:?}", begun.elapsed());
            client.expect_eof().await;
        }
    });
}

#[test]
fn a_body_that_drips_is_408() {
    within(async || {
        let site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        let client = site.connect().await;
        let (mut reader, mut writer) = (client.reader, client.writer);
        let begun = Instant::now();
        let dripping = tokio::spawn(async move {
            let head = Head::post("/text", "x").with("Content-Length", "100000");
            writer.send_raw(head.encode()).await;
            while writer.try_send("x").await {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert_eq!(reader.read_response().await.status, 408);
        reader.expect_eof().await;
        assert!(begun.elapsed() < SHORT * 3, "{:?}", begun.elapsed());
        dripping.abort();
    });
}

#[test]
fn a_body_may_take_long_as_long_as_it_moves() {
    within(async || {
        let site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = site.connect().await;
        let head = Head::post("/length", client.host()).with("Content-Length", "120000");
        client.send_raw(head.encode()).await;
        for _ in 0..6 {
            sleep(SHORT / 2).await;
            client.send_raw([b'x'; 20_000]).await;
        }
        assert_eq!(client.read_response().await.text(), "120000");
    });
}

#[test]
fn the_time_in_which_a_worker_does_not_read_does_not_count() {
    within(async || {
        let site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = site.connect().await;
        let head = Head::post("/slowly", client.host()).with("Content-Length", "3");
        client.send_raw(head.encode()).await;
        for _ in 0..3 {
            // It is there when the worker asks for it, later than its deadline.
            client.send_raw("x").await;
            sleep(SHORT).await;
        }
        assert_eq!(client.read_response().await.text(), "3");
    });
}

#[test]
fn a_body_that_stops_after_the_answer_does_not_hold_the_connection() {
    within(async || {
        let mut site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = site.connect().await;
        let head = Head::post("/later", client.host()).with("Content-Length", "8");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.text(), "early");
        client.expect_eof().await;
        site.expect_told("Err(").await;
    });
}
