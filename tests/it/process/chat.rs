//! The `chat` example: rooms, presence, history over a restart.
//! Does not look at the page: a browser does, in `tests/full`.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use super::example;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

fn start(data: &Path) -> (Program, SocketAddr) {
    let data = data.to_str().unwrap();
    let mut chat = Program::start(example("chat"), &[("WSWORKER_DATA", data)]);
    let addr = chat.addr();
    (chat, addr)
}

/// The next text that begins so.
async fn told(client: &mut RawClient, start: &str) -> String {
    loop {
        let frame = client.read_frame().await;
        let text = frame.text();
        if text.starts_with(start) {
            return text.to_owned();
        }
    }
}

#[test]
fn people_hear_each_other_and_who_is_there() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_chat, addr) = start(data.path());
        let mut ann = RawClient::open_at(addr, "/room/tea/ws?name=Ann").await;
        assert_eq!(told(&mut ann, "{").await, r#"{"history":[]}"#);
        assert_eq!(told(&mut ann, "{").await, r#"{"people":["Ann"]}"#);
        let mut bob = RawClient::open_at(addr, "/room/tea/ws?name=Bob").await;
        assert_eq!(told(&mut ann, "{").await, r#"{"people":["Ann","Bob"]}"#);
        let mut eve = RawClient::open_at(addr, "/room/coffee/ws?name=Eve").await;
        assert_eq!(told(&mut eve, r#"{"people"#).await, r#"{"people":["Eve"]}"#);

        ann.send(Frame::text("one lump?")).await;
        for client in [&mut ann, &mut bob] {
            let line = told(client, r#"{"line"#).await;
            assert!(
                line.contains(r#""from":"Ann","text":"one lump?""#),
                "{line}"
            );
        }
        ann.send(Frame::text(" ")).await;
        assert!(told(&mut ann, r#"{"error"#).await.contains("1 to 2,000"));
        bob.close().await;
        assert_eq!(told(&mut ann, r#"{"people"#).await, r#"{"people":["Ann"]}"#);
    });
}

#[test]
fn a_rooms_name_is_decoded_and_one_that_cannot_be_is_400() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (_chat, addr) = start(data.path());
        let mut ann = RawClient::open_at(addr, "/room/caf%C3%A9/ws?name=Ann").await;
        let mut bob = RawClient::open_at(addr, "/room/%63af%c3%a9/ws?name=Bob").await;
        told(&mut bob, r#"{"people":["Ann","Bob"]}"#).await;
        ann.send(Frame::text("hello")).await;
        told(&mut bob, r#"{"line"#).await;
        let mut plain = RawClient::connect(addr).await;
        for path in ["", "/ws", "/history"] {
            let refused = plain.get(&format!("/room/%zz{path}")).await;
            assert_eq!(refused.status, 400, "{path}");
            assert!(refused.text().starts_with("'%zz' in the path"));
        }
        assert_eq!(plain.get("/room/a/b/ws").await.status, 404);
    });
}

#[test]
fn the_last_hundred_lines_outlive_a_kill() {
    within(async || {
        let data = tempfile::tempdir().unwrap();
        let (chat, addr) = start(data.path());
        let mut ann = RawClient::open_at(addr, "/room/tea/ws?name=Ann").await;
        for n in 0..110 {
            ann.send(Frame::text(format!("line {n}"))).await;
        }
        while !told(&mut ann, r#"{"line"#).await.contains("line 109") {}
        chat.signal(Signal::KILL);
        chat.ended();

        let (_chat, addr) = start(data.path());
        let mut bob = RawClient::open_at(addr, "/room/tea/ws?name=Bob").await;
        let history = told(&mut bob, r#"{"history"#).await;
        // Who was there before the kill is not.
        assert_eq!(told(&mut bob, r#"{"people"#).await, r#"{"people":["Bob"]}"#);
        assert_eq!(history.matches("line ").count(), 100);
        assert!(!history.contains(r#""line 9""#));
        assert!(history.find(r#""line 10""#) < history.find(r#""line 109""#));
        let mut plain = RawClient::connect(addr).await;
        let by_http = plain.get("/room/tea/history").await;
        assert_eq!(by_http.text().matches("line ").count(), 100);
        let page = plain.get("/room/tea").await;
        assert!(page.text().contains("<title>chat</title>"));
    });
}
