//! Bodies of requests: how they come, and what becomes of the connection.
//! Does not treat too much of one, or one that comes too slowly: `limits` does.

use super::Site;
use crate::raw::{Frame, Head, RawClient};
use crate::server::within;

/// `4\r\nsome\r\n` and so on, with an extension and trailers.
fn chunked(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(format!("{:x};ext=1\r\n{part}\r\n", part.len()).bytes());
    }
    bytes.extend(b"0\r\nX-Trailer: 1\r\n\r\n");
    bytes
}

fn chunked_head(path: &str, client: &RawClient) -> Vec<u8> {
    let head = Head::post(path, client.host());
    head.with("Transfer-Encoding", "chunked").encode()
}

#[test]
fn a_body_of_known_length_is_read_and_the_connection_goes_on() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        for body in ["some text", "", "é"] {
            let answer = client.post("/text", body).await;
            assert_eq!((answer.status, answer.text()), (200, body));
            assert_eq!(answer.header("connection"), None);
        }
        assert_eq!(client.get("/page").await.status, 200);
    });
}

#[test]
fn a_chunked_body_is_read_without_its_trailers_and_the_connection_goes_on() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        for parts in [&["some", " ", "text"][..], &[]] {
            let mut bytes = chunked_head("/text", &client);
            bytes.extend(chunked(parts));
            client.send_raw(bytes).await;
            let answer = client.read_response().await;
            assert_eq!((answer.status, answer.text()), (200, &*parts.concat()));
        }
        assert_eq!(client.get("/page").await.status, 200);
    });
}

#[test]
fn a_body_may_come_byte_by_byte() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        client.send_raw(chunked_head("/text", &client)).await;
        for byte in chunked(&["in", "pieces"]) {
            client.send_raw([byte]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.read_response().await.text(), "inpieces");
    });
}

#[test]
fn a_large_body_comes_whole() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let body = vec![b'x'; 1 << 20];
        for path in ["/length", "/chunks"] {
            assert_eq!(client.post(path, &body).await.text(), "1048576");
        }
    });
}

#[test]
fn a_request_may_follow_a_body_in_one_packet() {
    within(async || {
        let site = Site::start().await;
        for first in ["/text", "/chunks", "/unread", "/told", "/twice"] {
            let mut client = site.connect().await;
            let head = Head::post(first, client.host()).with("Content-Length", "5");
            let mut bytes = head.encode();
            bytes.extend(b"first");
            bytes.extend(chunked_head("/text", &client));
            bytes.extend(chunked(&["sec", "ond"]));
            bytes.extend(Head::get("/page", client.host()).encode());
            client.send_raw(bytes).await;
            client.read_response().await;
            assert_eq!(client.read_response().await.text(), "second", "{first}");
            assert_eq!(client.read_response().await.text(), "<p>a page</p>");
        }
    });
}

#[test]
fn a_websocket_may_follow_a_body() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        assert_eq!(client.post("/text", "first").await.text(), "first");
        client.handshake_at("/ws", &[]).await;
        client.send(Frame::text("then")).await;
        client.expect_text("then").await;
    });
}

#[test]
fn a_short_body_that_is_not_read_is_skipped() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        for _ in 0..3 {
            assert_eq!(client.post("/unread", "not read").await.text(), "unread");
        }
    });
}

#[test]
fn a_long_body_that_is_not_read_ends_the_connection_after_the_answer() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let head = Head::post("/unread", client.host()).with("Content-Length", "1000000");
        client.send_raw(head.encode()).await;
        client.send_raw([b'x'; 20_000]).await;
        assert_eq!(client.read_response().await.text(), "unread");
        client.expect_eof().await;
    });
}

#[test]
fn a_body_may_be_read_after_the_answer() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = site.connect().await;
        let head = Head::post("/later", client.host()).with("Content-Length", "8");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.text(), "early");
        client.send_raw("the ").await;
        client.send_raw("rest").await;
        site.expect_told("Ok(\"the rest\")").await;
        assert_eq!(client.get("/page").await.status, 200);
    });
}

#[test]
fn a_client_that_waits_for_a_100_gets_it_when_its_body_is_read() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let expects = |path: &str, length: &str| {
            let head = Head::post(path, client.host()).with("Content-Length", length);
            head.with("Expect", "100-continue").encode()
        };
        let (read, unread, large) = (
            expects("/text", "4"),
            expects("/unread", "4"),
            expects("/text", "5000000"),
        );
        client.send_raw(read).await;
        assert_eq!(client.reader.read_head().await.status, 100);
        client.send_raw("body").await;
        assert_eq!(client.read_response().await.text(), "body");
        // Else it gets the answer at once, and need not send the body.
        for (head, status) in [(unread, 200), (large, 413)] {
            let mut client = site.connect().await;
            client.send_raw(head).await;
            assert_eq!(client.read_response().await.status, status);
            client.hang_up().await;
        }
    });
}

#[test]
fn a_body_that_breaks_off_is_an_error_for_the_worker_alone() {
    within(async || {
        let mut site = Site::start().await;
        let mut other = site.connect().await;
        for (head, value) in [("Content-Length", "9"), ("Transfer-Encoding", "chunked")] {
            let mut client = site.connect().await;
            let head = Head::post("/told", client.host()).with(head, value);
            client.send_raw(head.encode()).await;
            site.expect_told("reads").await;
            client.send_raw("4\r\n").await;
            client.writer.shutdown().await;
            site.expect_told("Err(the body cannot be read").await;
            assert_eq!(client.read_response().await.status, 400);
            client.expect_eof().await;
        }
        assert_eq!(other.post("/text", "well").await.text(), "well");
    });
}

#[test]
fn a_client_that_vanishes_in_its_body_is_an_error_for_the_worker_alone() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = site.connect().await;
        let head = Head::post("/told", client.host()).with("Content-Length", "9");
        client.send_raw(head.encode()).await;
        site.expect_told("reads").await;
        drop(client);
        site.expect_told("Err(").await;
        let mut other = site.connect().await;
        assert_eq!(other.post("/text", "well").await.text(), "well");
    });
}

#[test]
fn chunks_that_are_none_are_400() {
    within(async || {
        let site = Site::start().await;
        for wrong in ["z\r\nx\r\n", "ffffffffffffffffff\r\n", "4\r\nsome_\r\n"] {
            let mut client = site.connect().await;
            let mut bytes = chunked_head("/text", &client);
            bytes.extend(wrong.bytes());
            client.send_raw(bytes).await;
            let answer = client.read_response().await;
            assert_eq!(answer.status, 400, "{wrong:?}");
            assert!(answer.text().starts_with("the body cannot be read"));
            client.expect_eof().await;
        }
    });
}

#[test]
fn two_ways_to_say_a_length_end_the_connection() {
    within(async || {
        // RFC 9112 §6.3: it may be an attempt at smuggling a request.
        let site = Site::start().await;
        let mut client = site.connect().await;
        let head = Head::post("/text", client.host()).with("Content-Length", "3");
        let mut bytes = head.with("Transfer-Encoding", "chunked").encode();
        bytes.extend(chunked(&["chunked"]));
        bytes.extend(Head::get("/page", client.host()).encode());
        client.send_raw(bytes).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "chunked");
        assert!(answer.has_token("connection", "close"));
        client.expect_eof().await;
    });
}

#[test]
fn json_goes_both_ways() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let json = r#"{"name":"Ada","age":36}"#;
        let answer = client.post("/json", json).await;
        assert_eq!((answer.status, answer.text()), (200, json));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    });
}

#[test]
fn json_that_does_not_fit_is_400_and_says_where() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        for (json, wanted) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            (
                "{\"name\": oops}",
                "name: expected value at line 1 column 10",
            ),
            (
                "{\"name\":\"Ada\",\n \"age\":\"x\"}",
                "age: invalid type: string \"x\", expected u8 at line 2 column 10",
            ),
            (
                "{\"name\":\"Ada\"}",
                "missing field `age` at line 1 column 14",
            ),
            (
                "{\"name\":\"Ada\",\"age\":1}}",
                "trailing characters at line 1 column 23",
            ),
            (
                "{\"name\":\"Ada\",\"age\":1000}",
                "age: invalid value: integer `1000`",
            ),
        ] {
            let answer = client.post("/json", json).await;
            assert_eq!(answer.status, 400, "{json}");
            let start = "the body is not the JSON that was wanted: ";
            let text = answer.text();
            let told = text.strip_prefix(start).unwrap_or_else(|| panic!("{text}"));
            assert!(told.starts_with(wanted), "{json}: {told}");
        }
    });
}

#[test]
fn what_is_said_of_long_json_is_short() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let json = format!("{{\"name\":\"Ada\",\"age\":\"{}\"}}", "é".repeat(10_000));
        let answer = client.post("/json", json).await;
        assert_eq!(answer.status, 400);
        let text = answer.text();
        assert!(text.contains("age: invalid type: string \"éé"), "{text}");
        assert!(
            text.ends_with("é…") && text.chars().count() == 301,
            "{text}"
        );
    });
}

#[test]
fn text_that_is_not_utf8_is_400() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let answer = client.post("/text", b"abc\xff").await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.text(), "the body is not UTF-8 from byte 3 on");
    });
}

#[test]
fn a_form_becomes_a_type() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let answer = client.post("/form", "name=Ada+L%C3%B6&age=36").await;
        assert_eq!(answer.text(), "Ada Lö is 36");
        let answer = client.post("/form", "name=Ada&age=old").await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(": age: "), "{}", answer.text());
    });
}

#[test]
fn a_body_can_be_read_once() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        // The worker's own mistake, so 500.
        assert_eq!(client.post("/twice", "text").await.status, 500);
        assert_eq!(client.get("/twice").await.status, 500);
    });
}
