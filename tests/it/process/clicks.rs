//! The `clicks` example: its page, its socket, what both answer.
//! Does not look at the page: a browser does, in `tests/full`.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use humantime::parse_rfc3339;

use super::example;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

fn start() -> (Program, SocketAddr) {
    let mut clicks = Program::start(example("clicks"), &[]);
    let addr = clicks.addr();
    (clicks, addr)
}

/// Wants this answer next, with the time of now.
async fn answers(client: &mut RawClient, what: &str) {
    let frame = client.read_frame().await;
    let answer = frame.text();
    let rest = answer.strip_prefix(&format!(r#"{{{what},"tz":""#));
    let time = rest.and_then(|rest| rest.strip_suffix(r#""}"#));
    let time = time.unwrap_or_else(|| panic!("wanted {what} and a time, got {answer}"));
    // As `JSON.stringify(new Date())` writes it.
    assert_eq!(time.len(), "2026-01-31T23:59:59.123Z".len(), "{time}");
    let age = SystemTime::now().duration_since(parse_rfc3339(time).unwrap());
    assert!(age.unwrap() < Duration::from_secs(60), "{time}");
}

#[test]
fn clicks_are_counted_for_each_connection() {
    within(async || {
        let (_clicks, addr) = start();
        let mut one = RawClient::open_at(addr, "/ws").await;
        let mut other = RawClient::open_at(addr, "/ws").await;
        for count in 1..=3 {
            one.send(Frame::text("CLICK")).await;
            answers(&mut one, &format!(r#""count":{count}"#)).await;
        }
        other.send(Frame::text("CLICK")).await;
        answers(&mut other, r#""count":1"#).await;
        one.close().await;
        other.close().await;
    });
}

#[test]
fn an_unknown_message_is_an_error_and_not_counted() {
    within(async || {
        let (_clicks, addr) = start();
        let mut client = RawClient::open_at(addr, "/ws").await;
        for unknown in [
            Frame::text("click"),
            Frame::text(""),
            Frame::text("CLICK\n"),
            Frame::binary("CLICK"),
        ] {
            client.send(unknown).await;
            answers(&mut client, r#""error":"Unknown message received""#).await;
        }
        client.send(Frame::text("CLICK")).await;
        answers(&mut client, r#""count":1"#).await;
        client.close().await;
    });
}

#[test]
fn the_page_is_at_the_root_and_the_socket_is_no_page() {
    within(async || {
        let (_clicks, addr) = start();
        let mut client = RawClient::connect(addr).await;
        let page = client.get("/").await;
        assert_eq!(page.status, 200);
        let kind = page.header("content-type");
        assert_eq!(kind, Some("text/html; charset=utf-8"));
        assert!(page.text().starts_with("<!doctype html>"));
        for (path, status) in [("/ws", 426), ("/ws/", 404), ("/favicon.ico", 404)] {
            assert_eq!(client.get(path).await.status, status, "{path}");
        }
        let head = client.upgrade().line("GET /elsewhere HTTP/1.1");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 404);
    });
}
