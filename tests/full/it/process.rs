//! The `echo` example as a process, with TLS by its environment, and the `client` example.
//! Does not treat what is the same without TLS: `tests/it` does.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::files::Files;
use crate::program::Program;
use crate::raw::{Frame, RawClient};
use crate::server::within;
use crate::tls::client::Client;

/// The `echo` example.
struct Echo;

impl Echo {
    fn start(env: &[(&str, &str)]) -> Program {
        Program::start(Command::new(env!("CARGO_BIN_EXE_echo-full")), env)
    }

    fn start_tls(files: &Files, more: &[(&str, &str)]) -> Program {
        let tls = files.env();
        let tls = tls.iter().map(|(name, value)| (*name, value.as_str()));
        let env: Vec<_> = tls.chain(more.iter().copied()).collect();
        Echo::start(&env)
    }
}

async fn echoes(client: &mut RawClient) {
    client.send(Frame::text("hello")).await;
    client.expect_text("hello").await;
}

#[test]
fn tls_comes_from_the_environment_and_a_drain_ends_it() {
    within(async || {
        let files = Files::new();
        let client = Client::trusting(&files.tls);
        // Connections move between the threads before they speak TLS.
        let mut echo = Echo::start_tls(&files, &[("WSWORKER_THREADS", "3")]);
        let addr = echo.addr();
        echo.says(&format!("wss://{addr}"));
        echo.says(&format!("https://{addr}"));
        let mut clients = Vec::new();
        for _ in 0..12 {
            clients.push(client.open(addr).await);
        }
        for client in &mut clients {
            echoes(client).await;
        }
        echo.signal(Signal::TERM);
        for mut client in clients {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
        }
        let (status, said) = echo.ended();
        assert_eq!(status.code(), Some(0), "{said}");
    });
}

/// Runs the `client` example on a line of input; gives its status and all that it says.
fn client(arguments: &[&str]) -> (Option<i32>, String) {
    let mut client = Command::new(env!("CARGO_BIN_EXE_client-full"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sent = client.stdin.take().unwrap().write_all(b"hello\n");
    // It may have left by now.
    drop(sent);
    let output = client.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn the_client_speaks_tls_with_whom_it_is_told_to_trust() {
    within(async || {
        let files = Files::new();
        let mut echo = Echo::start_tls(&files, &[]);
        let port = echo.addr().port();
        let ca = files.path("c.pem");
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("wss://{host}:{port}/");
            let talked = client(&[&url, "--ca", &ca, "--count", "1"]);
            let said = "hello\nconnected, no subprotocol\nclosed with 1000\n";
            assert_eq!(talked, (Some(0), said.to_owned()));
            let (status, said) = client(&[&url]);
            assert_eq!(status, Some(1));
            assert!(said.contains("nobody that is trusted here"), "{said}");
        }
        let url = format!("wss://localhost:{port}/");
        let missing = files.path("missing.pem");
        let key = files.path("k.pem");
        for (file, code, wanted) in [(missing, 2, "No such file"), (key, 1, "BEGIN CERTIFICATE")] {
            let (status, said) = client(&[&url, "--ca", &file]);
            assert_eq!(status, Some(code));
            assert!(said.contains(wanted), "{said}");
        }
    });
}

#[test]
fn files_that_cannot_be_used_are_an_error_at_start() {
    within(async || {
        let files = Files::new();
        let (certificate, missing) = (files.path("c.pem"), files.path("missing.pem"));
        let cases = [
            (
                &[("WSWORKER_TLS_CERT", &*certificate)][..],
                "WSWORKER_TLS_KEY is not",
            ),
            (
                &[("WSWORKER_TLS_KEY", &*certificate)],
                "WSWORKER_TLS_CERT is not",
            ),
            (
                &[
                    ("WSWORKER_TLS_CERT", &*certificate),
                    ("WSWORKER_TLS_KEY", &*missing),
                ],
                "cannot read the key in '",
            ),
            (
                &[
                    ("WSWORKER_TLS_CERT", &*certificate),
                    ("WSWORKER_TLS_KEY", &*certificate),
                ],
                "wanted a private key",
            ),
        ];
        for (env, wanted) in cases {
            let (status, said) = Echo::start(env).ended();
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains(wanted), "'{wanted}' is not said: {said}");
            assert!(!said.contains("panicked"), "{said}");
        }
    });
}

#[test]
fn an_expired_certificate_is_warned_of() {
    within(async || {
        let files = Files::new();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let certificate = params.self_signed(&key).unwrap().pem();
        std::fs::write(files.path("c.pem"), certificate).unwrap();
        std::fs::write(files.path("k.pem"), key.serialize_pem()).unwrap();
        let mut echo = Echo::start_tls(&files, &[]);
        echo.says("has expired at 2021-01-01T00:00:00Z");
    });
}

/// Anonymous memory that it holds, in bytes, when that does not move any more.
#[cfg(target_os = "linux")]
fn memory(program: &Program) -> i64 {
    let read = || i64::try_from(program.status_kib("RssAnon:")).unwrap() * 1024;
    let mut last = read();
    loop {
        thread::sleep(Duration::from_millis(100));
        let now = read();
        if now == last {
            return now;
        }
        last = now;
    }
}

/// What rustls keeps of a connection is most of it: 4 KiB to read into, and the
/// keys of both directions.
#[cfg(target_os = "linux")]
#[test]
fn an_idle_connection_costs_little() {
    within(async || {
        const CONNECTIONS: usize = 400;
        let files = Files::new();
        let client = Client::trusting(&files.tls);
        let mut echo = Echo::start_tls(&files, &[("WSWORKER_THREADS", "1")]);
        let addr = echo.addr();
        // What is allocated once is not counted.
        let mut warm = Vec::new();
        for _ in 0..20 {
            warm.push(client.open(addr).await);
        }
        drop(warm);
        let before = memory(&echo);
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = client.open(addr).await;
            echoes(&mut client).await;
            held.push(client);
        }
        let each = (memory(&echo) - before) / CONNECTIONS as i64;
        println!("{each} bytes for an idle connection");
        assert!(each < 12 * 1024, "{each} bytes for an idle connection");
        echoes(&mut held[0]).await;
    });
}

/// The most that a peer can make rustls hold is one handshake message of 64 KiB.
#[cfg(target_os = "linux")]
#[test]
fn half_open_handshakes_hold_bounded_memory() {
    within(async || {
        const CONNECTIONS: usize = 100;
        let files = Files::new();
        let client = Client::trusting(&files.tls);
        let mut echo = Echo::start_tls(&files, &[("WSWORKER_THREADS", "1")]);
        let addr = echo.addr();
        client.open(addr).await.close().await;
        let before = memory(&echo);
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            // Three of the four records of the longest ClientHello that is taken.
            let mut part = vec![1, 0, 255, 255];
            part.resize(16 * 1024, 0);
            for _ in 0..3 {
                stream.write_all(&[22, 3, 1, 64, 0]).await.unwrap();
                stream.write_all(&part).await.unwrap();
                part.fill(0);
            }
            held.push(stream);
        }
        let each = (memory(&echo) - before) / CONNECTIONS as i64;
        println!("{each} bytes for a half-open handshake");
        assert!(each < 100 * 1024, "{each} bytes for a half-open handshake");
        let mut buffer = [0; 1];
        assert!(
            held.iter()
                .all(|stream| stream.try_read(&mut buffer).is_err()),
            "they are still open"
        );
    });
}
