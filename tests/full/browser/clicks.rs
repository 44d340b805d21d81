//! The `clicks` example as people see it: its page, in a browser.
//! Does not treat what its server answers: `tests/it` does.

use std::process::Command;

use rustix::process::Signal;

use crate::chromium::{Browser, browse};
use crate::program::Program;

/// The example, and its page in the browser with its socket open.
async fn open(browser: &Browser) -> Program {
    let files = browser.files.env();
    let mut env = Vec::new();
    if browser.secure {
        env.extend(files.iter().map(|(name, value)| (*name, value.as_str())));
    }
    let command = Command::new(env!("CARGO_BIN_EXE_clicks-full"));
    let mut clicks = Program::start(command, &env);
    let addr = clicks.addr();
    browser.goto(&browser.url("http", addr)).await;
    let socket = browser.url("ws", format_args!("{addr}/ws"));
    browser
        .shows("#state", &format!("Connected to {socket}"))
        .await;
    browser.shows("#num", "0").await;
    clicks
}

/// Closed: nothing can be sent, and a new connection can be had.
async fn expect_closed(browser: &Browser, wanted: &str) {
    browser.shows("#state", wanted).await;
    assert!(!browser.is_enabled("#click").await);
    assert!(!browser.is_enabled("#unknown").await);
    browser.shows("#close", "Reconnect").await;
    assert!(browser.is_enabled("#close").await);
}

#[test]
fn clicks_count_up() {
    browse(async |browser| {
        let _clicks = open(browser).await;
        for count in 1..=3 {
            browser.click("#click").await;
            browser.shows("#num", &count.to_string()).await;
        }
        browser.shows("#label", "clicks on this connection").await;
        let newest = browser.text("#log li").await;
        assert!(newest.contains(r#"{"count":3,"tz":"20"#), "{newest}");
    });
}

#[test]
fn an_unknown_message_shows_the_error() {
    browse(async |browser| {
        let _clicks = open(browser).await;
        browser.click("#unknown").await;
        browser.shows("#error", "Unknown message received").await;
        browser.shows("#num", "0").await;
        browser.click("#click").await;
        browser.shows("#num", "1").await;
        browser.shows("#error", "").await;
    });
}

#[test]
fn the_close_button_closes_cleanly_with_1000() {
    browse(async |browser| {
        let _clicks = open(browser).await;
        browser.click("#click").await;
        browser.shows("#num", "1").await;
        browser.click("#close").await;
        expect_closed(browser, "Closed with code 1000: as asked").await;
        // A new connection counts from the start.
        browser.click("#close").await;
        browser.shows("#num", "0").await;
        browser.shows("#close", "Close").await;
        browser.click("#click").await;
        browser.shows("#num", "1").await;
    });
}

#[test]
fn a_killed_server_is_a_close_with_1006() {
    browse(async |browser| {
        let clicks = open(browser).await;
        clicks.signal(Signal::KILL);
        expect_closed(browser, "Closed with code 1006: the connection was lost").await;
        // And there is nobody to connect to.
        browser.click("#close").await;
        expect_closed(browser, "Closed with code 1006: the connection was lost").await;
    });
}

#[test]
fn a_drained_server_is_a_close_with_1001() {
    browse(async |browser| {
        let clicks = open(browser).await;
        clicks.signal(Signal::TERM);
        expect_closed(
            browser,
            "Closed with code 1001: the server is shutting down",
        )
        .await;
        let (status, said) = clicks.ended();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.ends_with("\ndrained"), "{said}");
    });
}
