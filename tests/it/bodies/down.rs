//! Bodies of responses that are streamed.
//! Does not treat those that are there as a whole: `plain` does.

use tokio::time::{sleep, timeout};

use super::{SHORT, Site};
use crate::raw::{DEADLINE, Head, RawClient};
use crate::server::within;

async fn ask(site: &Site, path: &str) -> RawClient {
    let mut client = site.connect().await;
    client
        .send_raw(Head::get(path, client.host()).encode())
        .await;
    client
}

#[test]
fn a_stream_is_seen_chunk_by_chunk_before_its_end() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = ask(&site, "/stream").await;
        let head = client.reader.read_head().await;
        assert_eq!(head.status, 200);
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        assert_eq!(head.header("content-length"), None);
        for chunk in ["one", "two", "three"] {
            site.feed(chunk);
            let read = client.reader.read_chunk().await;
            assert_eq!(read.as_deref(), Some(chunk.as_bytes()));
        }
        // An empty one would be the end (RFC 9112 §7.1).
        site.feed("");
        client.expect_quiet().await;
        site.end();
        assert_eq!(client.reader.read_chunk().await, None);
        site.expect_told("the stream is dropped").await;
        assert_eq!(client.get("/page").await.status, 200);
    });
}

#[test]
fn a_request_may_wait_behind_a_stream() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = site.connect().await;
        let mut bytes = Head::get("/stream", client.host()).encode();
        bytes.extend(Head::get("/page", client.host()).encode());
        client.send_raw(bytes).await;
        site.feed("streamed");
        site.end();
        assert_eq!(client.read_response().await.text(), "streamed");
        assert_eq!(client.read_response().await.text(), "<p>a page</p>");
    });
}

#[test]
fn a_stream_that_has_nothing_to_give_is_not_cut() {
    within(async || {
        let mut site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = ask(&site, "/stream").await;
        client.reader.read_head().await;
        for _ in 0..2 {
            sleep(SHORT * 2).await;
            site.feed("late");
            let read = client.reader.read_chunk().await;
            assert_eq!(read.as_deref(), Some(&b"late"[..]));
        }
        site.end();
        assert_eq!(client.reader.read_chunk().await, None);
        // The clock runs again.
        client.expect_eof().await;
    });
}

#[test]
fn a_stream_that_fails_cuts_its_connection_alone() {
    within(async || {
        let mut site = Site::start().await;
        let mut other = site.connect().await;
        let mut client = ask(&site, "/stream").await;
        site.feed("part");
        client.reader.read_head().await;
        assert_eq!(
            client.reader.read_chunk().await.as_deref(),
            Some(&b"part"[..])
        );
        site.fail("as told");
        // Not a byte more: no last chunk.
        client.expect_eof().await;
        site.expect_told("the stream is dropped").await;
        assert_eq!(other.get("/page").await.status, 200);
    });
}

#[test]
fn a_stream_that_panics_cuts_its_connection_alone() {
    within(async || {
        let mut site = Site::start().await;
        let mut other = site.connect().await;
        let mut client = ask(&site, "/stream").await;
        site.feed("part");
        client.reader.read_head().await;
        assert_eq!(
            client.reader.read_chunk().await.as_deref(),
            Some(&b"part"[..])
        );
        site.feed("panic");
        client.expect_eof().await;
        site.expect_told("the stream is dropped").await;
        assert_eq!(other.get("/page").await.status, 200);
        drop(client);
        site.served.shut_down().await;
    });
}

#[test]
fn a_client_that_goes_away_ends_the_stream() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = ask(&site, "/stream").await;
        site.feed("part");
        client.reader.read_head().await;
        client.reader.read_chunk().await;
        drop(client);
        site.expect_told("the stream is dropped").await;
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_stream_back_and_is_cut_in_the_end() {
    within(async || {
        let mut site = Site::start_with(|s| s.handshake_timeout(SHORT)).await;
        let mut client = RawClient::connect_narrow(site.served.addr).await;
        let head = Head::get("/endless", client.host());
        client.send_raw(head.encode()).await;
        let mut chunks = 0;
        while site.told().await == "a chunk" {
            chunks += 1;
        }
        // The kernel takes some MiB of it.
        assert!(chunks < 1000, "{chunks} chunks of 16 KiB were asked for");
    });
}

#[test]
fn a_stream_of_said_length_is_not_chunked() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = ask(&site, "/stream-of-9").await;
        site.feed("nine ");
        site.feed("bytes, and more that is cut off");
        site.end();
        let answer = client.read_response().await;
        assert_eq!(answer.header("transfer-encoding"), None);
        assert_eq!(answer.text(), "nine byte");
        assert_eq!(client.get("/page").await.status, 200);
    });
}

#[test]
fn a_stream_shorter_than_it_said_cuts_the_connection() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = ask(&site, "/stream-of-9").await;
        site.feed("five!");
        client.reader.read_head().await;
        assert_eq!(client.reader.read_exactly(5).await, b"five!");
        site.end();
        client.expect_eof().await;
    });
}

#[test]
fn a_client_of_http_1_0_gets_a_stream_until_the_connections_end() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = site.connect().await;
        client.send_raw("GET /stream HTTP/1.0\r\n\r\n").await;
        site.feed("to ");
        site.feed("the end");
        site.end();
        let answer = client.reader.read_to_end().await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nto the end"), "{answer}");
    });
}

#[test]
fn what_a_client_sends_can_be_streamed_back() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let head = Head::post("/mirror", client.host()).with("Transfer-Encoding", "chunked");
        client.send_raw(head.encode()).await;
        client.reader.read_head().await;
        for part in ["there", "and", "back"] {
            let chunk = format!("{:x}\r\n{part}\r\n", part.len());
            client.send_raw(&chunk).await;
            let read = client.reader.read_chunk().await;
            assert_eq!(read.as_deref(), Some(part.as_bytes()));
        }
        client.send_raw("0\r\n\r\n").await;
        assert_eq!(client.reader.read_chunk().await, None);
        assert_eq!(client.get("/page").await.status, 200);
    });
}

#[test]
fn a_stream_may_end_while_the_server_drains() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = ask(&site, "/stream").await;
        site.feed("before");
        client.reader.read_head().await;
        assert_eq!(
            client.reader.read_chunk().await.as_deref(),
            Some(&b"before"[..])
        );
        site.served.handle.shutdown();
        client.expect_quiet().await;
        site.feed("after");
        assert_eq!(
            client.reader.read_chunk().await.as_deref(),
            Some(&b"after"[..])
        );
        site.end();
        assert_eq!(client.reader.read_chunk().await, None);
        client.expect_eof().await;
        site.served.returned().await;
    });
}

#[test]
fn a_stream_that_does_not_end_is_dropped_at_the_drain_deadline() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = ask(&site, "/stream").await;
        client.reader.read_head().await;
        site.served.handle.shutdown();
        let ended = timeout(DEADLINE, client.expect_eof());
        ended.await.expect("it is never dropped");
        site.expect_told("the stream is dropped").await;
        site.served.returned().await;
    });
}
