//! The `client` example: what it sends, what it prints, when it leaves and how.
//! Does not treat `wss`: `tests/full` does.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Echo, example};
use crate::client::raw_server::{Conn, RawServer};
use crate::raw::{BINARY, CLOSE, Frame, TEXT};
use crate::server::within;

/// Where nothing comes that it would wait for.
const AT_ONCE: [&str; 2] = ["--wait", "0s"];

/// How the client ended: its status, stdout and stderr.
type Ended = (Option<i32>, String, String);

fn start(url: &str, arguments: &[&str]) -> Child {
    let mut command = example("client");
    command.arg(url).args(arguments);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs it to its end on this input.
fn run(url: &str, arguments: &[&str], input: &str) -> Ended {
    let mut client = start(url, arguments);
    let mut stdin = client.stdin.take().unwrap();
    let input = input.to_owned();
    // It may leave before it has read everything.
    let writer = thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
    let ended = wait(client);
    writer.join().unwrap();
    ended
}

/// Waits for its end. An input that was not taken out stays open up to then.
fn wait(mut client: Child) -> Ended {
    let _stdin = client.stdin.take();
    let output = client.wait_with_output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

/// A server that accepts each WebSocket and goes on with this.
fn accepting(serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> RawServer {
    RawServer::start(move |conn| {
        let head = conn.head().unwrap();
        conn.send(head.switch(""));
        serve(conn);
    })
}

fn closes(conn: &mut Conn, code: u16) {
    conn.expect_close(code);
    conn.say(Frame::close(code, ""));
}

#[test]
fn each_line_is_a_message_and_the_answers_are_waited_for() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let url = format!("ws://{}/", echo.addr());
        let (status, out, err) = run(&url, &[], "one\n\nthrée");
        assert_eq!((status, &*out), (Some(0), "one\n\nthrée\n"), "{err}");
        assert_eq!(err, "connected, no subprotocol\nclosed with 1000\n");
    });
}

#[test]
fn more_than_any_queue_holds_goes_through_in_order() {
    within(async || {
        let mut echo = Echo::start(&[]);
        let url = format!("ws://{}/", echo.addr());
        let lines: Vec<_> = (0..4000)
            .map(|i| format!("{i} {}", "x".repeat(3000)))
            .collect();
        let input = lines.join("\n");
        let (status, out, err) = run(&url, &["-c", "4000"], &input);
        assert_eq!(status, Some(0), "{err}");
        assert!(out.trim_end() == input, "{} bytes came back", out.len());
    });
}

#[test]
fn each_answer_starts_the_wait_anew() {
    within(async || {
        let server = accepting(|conn| {
            conn.expect_text("all");
            for _ in 0..6 {
                thread::sleep(Duration::from_millis(200));
                conn.say(Frame::text("part"));
            }
            closes(conn, 1000);
        });
        let (status, out, err) = run(&server.ws_url("/"), &["--wait", "600ms"], "all\n");
        assert_eq!((status, &*out), (Some(0), &*"part\n".repeat(6)), "{err}");
    });
}

#[test]
fn an_input_without_an_end_does_not_keep_it() {
    within(async || {
        let server = accepting(|conn| {
            conn.say(Frame::text("hello"));
            conn.say(Frame::close(4001, "bye\u{1b}"));
            conn.expect_close(4001);
        });
        let (status, out, err) = wait(start(&server.ws_url("/"), &[]));
        // Its end was the server's, and none that is normal.
        assert_eq!((status, &*out), (Some(1), "hello\n"));
        assert!(err.ends_with("closed with 4001 (bye\\u{1b})\n"), "{err}");
    });
}

#[test]
fn it_leaves_after_its_count() {
    within(async || {
        let server = accepting(|conn| {
            for word in ["one", "two", "three"] {
                conn.say(Frame::text(word));
            }
            closes(conn, 1000);
        });
        let (status, out, err) = wait(start(&server.ws_url("/"), &["--count", "2"]));
        assert_eq!((status, &*out), (Some(0), "one\ntwo\n"), "{err}");
    });
}

#[test]
fn fewer_messages_than_its_count_are_a_failure() {
    within(async || {
        let server = accepting(|conn| {
            conn.say(Frame::text("one"));
            conn.say(Frame::close(1000, ""));
            conn.expect_close(1000);
        });
        let (status, out, err) = run(&server.ws_url("/"), &["--count", "2"], "");
        assert_eq!((status, &*out), (Some(1), "one\n"));
        assert!(err.ends_with("closed with 1000\n"), "{err}");
    });
}

#[test]
fn a_close_without_a_code_is_normal_and_a_lost_connection_is_not() {
    within(async || {
        for (close, code, status) in [(true, 1005, Some(0)), (false, 1006, Some(1))] {
            let server = accepting(move |conn| {
                if close {
                    conn.say(Frame::close_empty());
                    assert_eq!(conn.frame().unwrap().opcode, CLOSE);
                }
            });
            let (seen, _, err) = wait(start(&server.ws_url("/"), &[]));
            assert_eq!(seen, status);
            assert!(err.ends_with(&format!("closed with {code}\n")), "{err}");
        }
    });
}

#[test]
fn text_and_binary_are_sent_as_asked_and_printed_as_they_came() {
    within(async || {
        let server = accepting(|conn| {
            let frame = conn.frame().unwrap();
            let kind = ["", "text", "binary"][usize::from(frame.opcode)];
            assert_eq!(frame.payload, "ü".as_bytes());
            conn.say(Frame::text(kind));
            conn.say(Frame::binary(b"a\0\xff"));
            closes(conn, 1000);
        });
        assert_eq!((TEXT, BINARY), (1, 2));
        for (flags, kind) in [(&[][..], "text"), (&["--binary"], "binary")] {
            let arguments = [flags, &["-c", "2"]].concat();
            let (_, out, err) = run(&server.ws_url("/"), &arguments, "ü\n");
            assert_eq!(out, format!("{kind}\na\\x00\\xff\n"), "{err}");
        }
    });
}

#[test]
fn headers_and_protocols_reach_the_server() {
    within(async || {
        let server = RawServer::start(|conn| {
            let head = conn.head().unwrap();
            assert_eq!(head.header("origin"), Some("http://a.example"));
            let all = |name| {
                let found = head.headers.iter().filter(move |(n, _)| n == name);
                found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            };
            assert_eq!(all("x-twice"), ["1", "2: 3"]);
            assert_eq!(all("sec-websocket-protocol").join(", "), "v2, v1");
            conn.send(head.switch("Sec-WebSocket-Protocol: v1\r\n"));
            closes(conn, 1000);
        });
        let headers = ["-H", "Origin: http://a.example", "-H", "X-Twice:1"];
        let more = ["--header", "x-twice: 2: 3", "-p", "v2", "--protocol", "v1"];
        let arguments = [&headers[..], &more, &AT_ONCE].concat();
        let (status, _, err) = run(&server.ws_url("/"), &arguments, "");
        assert_eq!(
            (status, &*err),
            (Some(0), "connected, v1\nclosed with 1000\n")
        );
    });
}

#[test]
fn a_timeout_bounds_the_handshake_and_the_conversation() {
    within(async || {
        let silent = RawServer::start(|conn| conn.until_left());
        let mute = accepting(|conn| conn.until_left());
        for server in [silent, mute] {
            let begun = Instant::now();
            let arguments = ["--timeout", "300ms", "--count", "1"];
            let (status, out, err) = run(&server.ws_url("/"), &arguments, "hello\n");
            assert_eq!((status, &*out), (Some(1), ""));
            assert!(err.ends_with("got 0 of 1 messages within 300ms\n"), "{err}");
            assert!(begun.elapsed() >= Duration::from_millis(300));
        }
    });
}

#[test]
fn it_says_in_one_line_why_there_is_no_socket() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("ws://{}/", closed.local_addr().unwrap());
    drop(closed);
    let page = RawServer::answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    for (url, wanted) in [
        ("nonsense", "is no URL"),
        ("127.0.0.1:1", "wanted one such as ws://127.0.0.1:8787/"),
        ("ftp://127.0.0.1/", "'ftp'"),
        (&*refused, "Connection refused"),
        ("wss://127.0.0.1:1/", "feature `tls`"),
        (
            "wss://127.0.0.1:1/",
            "cargo run --features tls --example client",
        ),
        (&*page.ws_url("/"), "404 Not Found"),
    ] {
        let (status, out, err) = run(url, &[], "hello\n");
        assert_eq!((status, &*out), (Some(1), ""), "{err}");
        assert!(err.contains(wanted) && err.lines().count() == 1, "{err}");
    }
}

#[test]
fn a_wrong_argument_is_named() {
    for (arguments, wanted) in [
        (["--count", "0"], "'--count <N>'"),
        (["--timeout", "5"], "time unit needed"),
        (["--header", "x"], "wanted 'Name: value'"),
    ] {
        let (status, _, err) = run("ws://127.0.0.1:1/", &arguments, "");
        assert_eq!(status, Some(2), "{err}");
        assert!(err.contains(wanted), "{err}");
    }
}

#[test]
fn what_comes_is_printed_at_once() {
    within(async || {
        let server = accepting(|conn| {
            conn.say(Frame::text("early"));
            // It answers what it has seen.
            conn.expect_text("seen");
            closes(conn, 1000);
        });
        let mut client = start(&server.ws_url("/"), &AT_ONCE);
        let mut came = [0; 6];
        client
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut came)
            .unwrap();
        assert_eq!(&came, b"early\n");
        client.stdin.take().unwrap().write_all(b"seen\n").unwrap();
        assert_eq!(wait(client).0, Some(0));
    });
}
