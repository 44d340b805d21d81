//! The `chat` example as people see it, in several tabs.
//! Does not treat what its server answers: `tests/it` does.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::chromium::{Browser, browse};
use crate::program::Program;

fn start(browser: &Browser, data: &Path, addr: &str) -> Program {
    let files = browser.files.env();
    let mut env = vec![
        ("WSWORKER_DATA", data.to_str().unwrap()),
        ("WSWORKER_ADDR", addr),
    ];
    if browser.secure {
        env.extend(files.iter().map(|(name, value)| (*name, value.as_str())));
    }
    Program::start(Command::new(env!("CARGO_BIN_EXE_chat-full")), &env)
}

async fn join(browser: &Browser, addr: &str, name: &str) {
    let page = format_args!("{addr}/room/tea?name={name}").to_string();
    browser.goto(&browser.url("http", page)).await;
    browser.shows("#state", "online").await;
}

#[test]
fn tabs_hear_each_other_and_a_restart_keeps_the_history() {
    browse(async |browser| {
        let data = tempfile::tempdir().unwrap();
        let mut chat = start(browser, data.path(), "127.0.0.1:0");
        let addr = chat.addr().to_string();
        let ann = browser.tab().await;
        join(browser, &addr, "Ann").await;
        browser.shows("#people", "Ann (you)").await;
        let bob = browser.new_tab().await;
        join(browser, &addr, "Bob").await;
        browser.shows("#people", "Ann\nBob (you)").await;
        browser.enter("#text", "anyone for tea?").await;
        browser.shows(".line.mine .text", "anyone for tea?").await;

        browser.switch_to(&ann).await;
        browser.shows("#people", "Ann (you)\nBob").await;
        browser.shows(".line .text", "anyone for tea?").await;
        browser.enter("#text", "<b>two</b> lumps, please").await;
        browser
            .shows(".line.mine .text", "<b>two</b> lumps, please")
            .await;

        // The page connects again by itself, to the same history.
        chat.signal(Signal::TERM);
        chat.ended();
        browser.shows("#state", "reconnecting").await;
        let mut chat = start(browser, data.path(), &addr);
        chat.addr();
        browser.shows("#state", "online").await;
        browser.shows(".line .text", "anyone for tea?").await;
        browser
            .shows(".line.mine .text", "<b>two</b> lumps, please")
            .await;
        browser.picture("chat.png").await;
        browser.switch_to(&bob).await;
        browser.shows("#state", "online").await;
        browser.enter("#text", "coming").await;
        browser.switch_to(&ann).await;
        browser.shows(".line:last-child .text", "coming").await;
        chat.signal(Signal::TERM);
        // Back to one tab, for the next time.
        browser.close_tab(&bob, &ann).await;
    });
}
