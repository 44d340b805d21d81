//! The `echo` example as a process, with TLS by its environment.
//! Does not treat what is the same without TLS: `tests/it` does.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wsworker::Tls;

use crate::raw::{Frame, RawClient};
use crate::server::within;
use crate::tls::client::Client;

/// Starting a process on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `echo`, killed when this is dropped.
struct Echo {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Echo {
    fn start(env: &[(&str, &str)]) -> Echo {
        let mut command = Command::new(env!("CARGO_BIN_EXE_echo-full"));
        for (name, _) in std::env::vars() {
            if name.starts_with("WSWORKER_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .env("WSWORKER_ADDR", "127.0.0.1:0")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().unwrap());
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().unwrap());
        for pipe in [stdout, stderr] {
            let line = line.clone();
            thread::spawn(move || {
                for text in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = line.send(text);
                }
            });
        }
        let seen = Vec::new();
        Echo { child, lines, seen }
    }

    /// The first line with this in it.
    fn says(&mut self, wanted: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| {
                panic!("it does not say '{wanted}'; it said {:?}", self.seen);
            });
            self.seen.push(line.clone());
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// The address that it says it listens on.
    fn addr(&mut self) -> SocketAddr {
        let line = self.says("listening on wss://");
        line.rsplit('/').next().unwrap().parse().unwrap()
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits for its end; gives its status and all that it said.
    fn ended(mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        let mut said = std::mem::take(&mut self.seen);
        said.extend(self.lines.iter());
        (status, said.join("\n"))
    }

    /// Anonymous memory that it holds, in bytes, when that does not move any more.
    fn memory(&self) -> i64 {
        let read = || -> i64 {
            let path = format!("/proc/{}/status", self.child.id());
            let status = std::fs::read_to_string(path).unwrap();
            let line = status.lines().find(|line| line.starts_with("RssAnon:"));
            let kib = line.unwrap().split_whitespace().nth(1).unwrap();
            kib.parse::<i64>().unwrap() * 1024
        };
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
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files with a certificate, and what is in them.
struct Files {
    dir: TempDir,
    tls: Tls,
}

impl Files {
    fn new() -> Files {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.pem"), &certificate).unwrap();
        std::fs::write(dir.path().join("k.pem"), key.serialize_pem()).unwrap();
        let tls = Tls::pem(certificate, key.serialize_pem());
        Files { dir, tls }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn start(&self, more: &[(&str, &str)]) -> Echo {
        let (certificate, key) = (self.path("c.pem"), self.path("k.pem"));
        let mut env = vec![
            ("WSWORKER_TLS_CERT", certificate.as_str()),
            ("WSWORKER_TLS_KEY", key.as_str()),
        ];
        env.extend_from_slice(more);
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
        let mut echo = files.start(&[("WSWORKER_THREADS", "3")]);
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
        echo.terminate();
        for mut client in clients {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
        }
        let (status, said) = echo.ended();
        assert_eq!(status.code(), Some(0), "{said}");
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
        let mut echo = files.start(&[]);
        echo.says("has expired at 2021-01-01T00:00:00Z");
    });
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
        let mut echo = files.start(&[("WSWORKER_THREADS", "1")]);
        let addr = echo.addr();
        // What is allocated once is not counted.
        let mut warm = Vec::new();
        for _ in 0..20 {
            warm.push(client.open(addr).await);
        }
        drop(warm);
        let before = echo.memory();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut client = client.open(addr).await;
            echoes(&mut client).await;
            held.push(client);
        }
        let each = (echo.memory() - before) / CONNECTIONS as i64;
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
        let mut echo = files.start(&[("WSWORKER_THREADS", "1")]);
        let addr = echo.addr();
        client.open(addr).await.close().await;
        let before = echo.memory();
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
        let each = (echo.memory() - before) / CONNECTIONS as i64;
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
