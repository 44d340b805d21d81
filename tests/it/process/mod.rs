//! The examples as processes: environment, signals, exit status.
//! Does not test what a server in this process can show as well.

mod chat;
mod clicks;
mod client;
mod counter;
mod guide;
mod poll;
mod proxy;
mod signals;

use std::process::Command;

use rustix::process::Signal;

use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;

/// The example that `cargo test` built next to this test.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let example = profile.join("examples").join(file);
    assert!(
        example.exists(),
        "{} is not there: a plain `cargo test` builds it; after `cargo test --test it` alone, \
         run `cargo build --example {name}` first",
        example.display()
    );
    Command::new(example)
}

/// The `echo` example.
struct Echo;

impl Echo {
    fn start(env: &[(&str, &str)]) -> Program {
        Program::start(example("echo"), env)
    }
}

#[test]
fn echo_says_where_it_listens_and_echoes() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let mut client = RawClient::open(echo.addr()).await;
        client.send(Frame::text("hello")).await;
        client.expect_text("hello").await;
        client.close().await;
    });
}

#[test]
fn it_says_how_to_try_it() {
    within(async || {
        let mut echo = Echo::start(&[]);
        echo.addr();
        echo.signal(Signal::TERM);
        let (_, said) = echo.ended();
        println!("{said}");
        let addr = said.split("listening on ws://").nth(1).unwrap();
        let addr = addr.lines().next().unwrap();
        assert!(addr.starts_with("127.0.0.1:"), "{addr}");
        for wanted in [
            format!("npx wscat -c ws://{addr}/\n"),
            format!("python3 -m websockets ws://{addr}/\n"),
            format!("open http://{addr}/ in"),
        ] {
            assert!(said.contains(&wanted), "no {wanted:?}");
        }
    });
}

#[test]
fn several_addresses_come_from_the_environment() {
    within(async || {
        let addrs = "127.0.0.1:0, 127.0.0.1:0";
        let mut echo = Echo::start(&[("WSWORKER_ADDR", addrs)]);
        let addrs = echo.addrs(2);
        assert_ne!(addrs[0], addrs[1]);
        for addr in addrs {
            RawClient::open(addr).await.close().await;
        }
    });
}

#[test]
fn settings_come_from_the_environment() {
    within(async || {
        let mut echo = Echo::start(&[
            ("WSWORKER_MAX_MESSAGE", "1KiB"),
            ("WSWORKER_MAX_BUFFERED", "2 MiB"),
            ("WSWORKER_SLOW", "drop"),
            ("WSWORKER_IDLE_TIMEOUT", "1m 30s"),
            ("WSWORKER_HANDSHAKE_TIMEOUT", "500ms"),
            ("WSWORKER_FRAME_TIMEOUT", "20s"),
            ("WSWORKER_CLOSE_TIMEOUT", "2s"),
            ("WSWORKER_DRAIN_TIMEOUT", "3s"),
            ("WSWORKER_PROTOCOLS", "chat.v2, chat.v1"),
            ("WSWORKER_ORIGINS", "https://app.example,https://b.example"),
            ("WSWORKER_MAX_CONNECTIONS", "100"),
            ("WSWORKER_MAX_CONNECTIONS_PER_ADDRESS", "10"),
            ("WSWORKER_TRUSTED_PROXIES", "10.0.0.0/8, unix"),
            ("WSWORKER_MAX_HEADER_SIZE", "8KiB"),
            ("WSWORKER_THREADS", "2"),
        ]);
        let addr = echo.addr();
        let mut client = RawClient::connect(addr).await;
        let answer = client
            .handshake(&[
                ("Origin", "https://b.example"),
                ("Sec-WebSocket-Protocol", "chat.v1, chat.v2"),
            ])
            .await;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("chat.v2"));
        client.send(Frame::text("x".repeat(1024))).await;
        client.expect_text(&"x".repeat(1024)).await;
        client.send(Frame::text("x".repeat(1025))).await;
        client.expect_close(1009).await;
        let mut slow = RawClient::connect(addr).await;
        slow.send_raw("GET").await;
        assert_eq!(slow.read_response().await.status, 408);
        let mut large = RawClient::connect(addr).await;
        let head = large.upgrade().with("X", &"x".repeat(9000));
        large.send_raw(head.encode()).await;
        assert_eq!(large.read_response().await.status, 431);
    });
}

#[test]
fn a_wrong_setting_is_an_error_that_names_it() {
    within(async || {
        let wrong = [
            ("WSWORKER_MAX_MESSAGE", "lots"),
            ("WSWORKER_MAX_BUFFERED", "-1"),
            ("WSWORKER_SLOW", "maybe"),
            ("WSWORKER_IDLE_TIMEOUT", "soon"),
            ("WSWORKER_HANDSHAKE_TIMEOUT", "10"),
            ("WSWORKER_FRAME_TIMEOUT", "x"),
            ("WSWORKER_CLOSE_TIMEOUT", "5 parsecs"),
            ("WSWORKER_DRAIN_TIMEOUT", "?"),
            ("WSWORKER_PROTOCOLS", "not a token"),
            ("WSWORKER_ORIGINS", "not an origin"),
            ("WSWORKER_MAX_CONNECTIONS", "many"),
            ("WSWORKER_MAX_CONNECTIONS_PER_ADDRESS", "few"),
            ("WSWORKER_TRUSTED_PROXIES", "me"),
            ("WSWORKER_MAX_HEADER_SIZE", "big"),
            ("WSWORKER_THREADS", "all"),
            ("WSWORKER_THREADS", "0"),
            ("WSWORKER_THREADS", "1025"),
            ("WSWORKER_ADDR", ":8080"),
            ("WSWORKER_ADDR", "8080"),
        ];
        for (name, value) in wrong {
            let (status, said) = Echo::start(&[(name, value)]).ended();
            println!("{said}");
            assert_eq!(status.code(), Some(1), "{name}={value}");
            assert!(said.contains(name), "{name} is not named: {said}");
            assert!(said.contains(value), "{value} is not shown: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    });
}

#[test]
fn a_wrong_address_is_an_error_that_shows_it() {
    within(async || {
        let (status, said) = Echo::start(&[("WSWORKER_ADDR", "nonsense")]).ended();
        assert_eq!(status.code(), Some(1));
        assert!(said.contains("'nonsense'"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    });
}

#[test]
fn a_second_process_gets_a_clear_error() {
    within(async || {
        let mut first = Echo::start(&[]);
        let addr = first.addr();
        let text = addr.to_string();
        let (status, said) = Echo::start(&[("WSWORKER_ADDR", &text)]).ended();
        assert_eq!(status.code(), Some(1));
        assert!(said.contains(&text), "{said}");
        let lower = said.to_lowercase();
        assert!(
            lower.contains("in use") || lower.contains("taken"),
            "{said}"
        );
        RawClient::open(addr).await.close().await;
    });
}

#[test]
fn many_connections_are_served_by_many_threads() {
    within(async || {
        let mut echo = Echo::start(&[("WSWORKER_THREADS", "4")]);
        let addr = echo.addr();
        let mut clients = Vec::new();
        for _ in 0..64 {
            clients.push(RawClient::open(addr).await);
        }
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(Frame::text(format!("client {i}"))).await;
        }
        for (i, client) in clients.iter_mut().enumerate() {
            client.expect_text(&format!("client {i}")).await;
        }
        for client in clients {
            client.close().await;
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_with_one_thread_is_a_process_with_one_thread() {
    within(async || {
        for count in [1, 2] {
            let threads = count.to_string();
            let mut echo = Echo::start(&[("WSWORKER_THREADS", &threads)]);
            let mut client = RawClient::open(echo.addr()).await;
            client.send(Frame::text("hello")).await;
            client.expect_text("hello").await;
            assert_eq!(echo.threads(), count);
            echo.signal(Signal::TERM);
            client.expect_close(1001).await;
            assert_eq!(echo.threads(), count, "also while it drains");
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn no_memory_is_reserved_for_bytes_that_have_not_come() {
    within(async || {
        let mut echo = Echo::start(&[("WSWORKER_MAX_MESSAGE", "64MiB"), ("WSWORKER_THREADS", "1")]);
        let addr = echo.addr();
        let mut client = RawClient::open(addr).await;
        client.send(Frame::text("warm")).await;
        client.expect_text("warm").await;
        // What may be written to; an arena that is only set aside is not in it.
        let before = echo.status_kib("VmData:");
        let announced = Frame::binary([0; 1000]).announcing(60 << 20);
        let mut held = Vec::new();
        for _ in 0..50 {
            let mut client = RawClient::open(addr).await;
            client.send(announced.clone()).await;
            // It has read the frame's start when it answers this one.
            held.push(client);
        }
        client.send(Frame::text("after them")).await;
        client.expect_text("after them").await;
        let grown = echo.status_kib("VmData:").saturating_sub(before);
        println!("{grown} KiB for 50 connections");
        assert!(grown < 60 * 1024, "{grown} KiB for 50 announced frames");
    });
}
