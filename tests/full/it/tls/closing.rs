//! How TLS connections end: with close_notify or without, in order or by a drain.
//! Does not treat the closing handshake itself: `tests/it` does.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::over;
use super::start;
use crate::raw::{Frame, Head};
use crate::server::{DRAIN_TIMEOUT, Event, within};

#[test]
fn a_closed_connection_ends_with_close_notify() {
    within(async || {
        let (mut server, client) = start().await;
        let mut client = client.open(server.addr).await;
        server.expect(Event::Open).await;
        client.send(Frame::close(4000, "done")).await;
        assert_eq!(client.expect_close(4000).await, "done");
        // rustls makes an error of an end without it.
        client.expect_clean_eof().await;
        server.expect(Event::clean(4000, "done")).await;
    });
}

#[test]
fn a_close_of_ours_ends_with_close_notify() {
    within(async || {
        let (mut server, client) = start().await;
        let mut client = client.open(server.addr).await;
        server.expect(Event::Open).await;
        client.send(Frame::text("!close 4001 enough")).await;
        server.expect(Event::text("!close 4001 enough")).await;
        assert_eq!(client.expect_close(4001).await, "enough");
        client.send(Frame::close(4001, "enough")).await;
        client.expect_clean_eof().await;
        server.expect(Event::clean(4001, "enough")).await;
    });
}

#[test]
fn a_drop_without_close_notify_is_1006_and_no_error() {
    within(async || {
        for reset in [false, true] {
            let (mut server, client) = start().await;
            let stream = client.connect(server.addr).await;
            let mut stream = upgraded(stream).await;
            server.expect(Event::Open).await;
            stream
                .write_all(&Frame::text("!quiet").encode())
                .await
                .unwrap();
            stream.flush().await.unwrap();
            let tcp = stream.into_inner().0.into_tcp();
            if reset {
                tcp.set_zero_linger().unwrap();
            }
            drop(tcp);
            server.expect(Event::text("!quiet")).await;
            server.expect_unclean(1006).await;
            assert_eq!(server.finish().await, []);
        }
    });
}

#[test]
fn a_close_notify_without_a_close_is_1006_and_no_error() {
    within(async || {
        let (mut server, client) = start().await;
        let mut client = client.open(server.addr).await;
        server.expect(Event::Open).await;
        client.send(Frame::text("last words")).await;
        client.writer.shutdown().await;
        // It still hears the answer.
        client.expect_text("last words").await;
        client.expect_clean_eof().await;
        server.expect(Event::text("last words")).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_record_that_is_none_is_an_error_of_that_connection() {
    within(async || {
        let (mut server, client) = start().await;
        let mut held = client.open(server.addr).await;
        server.expect(Event::Open).await;
        let stream = upgraded(client.connect(server.addr).await).await;
        server.expect(Event::Open).await;
        let mut tcp = stream.into_inner().0.into_tcp();
        let mut record = vec![23, 3, 3, 0, 40];
        record.extend([7; 40]);
        tcp.write_all(&record).await.unwrap();
        let error = server.expect_error().await;
        assert!(error.contains("the connection failed"), "{error}");
        server.expect_unclean(1006).await;
        held.send(Frame::text("still here")).await;
        held.expect_text("still here").await;
    });
}

#[test]
fn a_violation_is_answered_before_the_end() {
    within(async || {
        let (mut server, client) = start().await;
        let mut client = client.open(server.addr).await;
        server.expect(Event::Open).await;
        client.send(Frame::text("bare").unmasked()).await;
        client.expect_close(1002).await;
        client.expect_clean_eof().await;
        server.expect_error().await;
        server.expect_unclean(1002).await;
    });
}

#[test]
fn a_drain_says_1001_to_all_and_waits_for_no_handshake() {
    within(async || {
        let (mut server, client) = start().await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(client.open(server.addr).await);
            server.expect(Event::Open).await;
        }
        let silent = TcpStream::connect(server.addr).await.unwrap();
        let mut half = TcpStream::connect(server.addr).await.unwrap();
        half.write_all(&[22, 3, 1]).await.unwrap();
        let mut idle = over(client.connect(server.addr).await);
        idle.send_raw(Head::get("/page", idle.host()).encode())
            .await;
        idle.read_response().await;
        let begun = Instant::now();
        server.served.handle.shutdown();
        for mut client in clients {
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
            server.expect(Event::clean(1001, "")).await;
        }
        idle.expect_clean_eof().await;
        assert_eq!(server.finish().await, []);
        let took = begun.elapsed();
        assert!(
            took < DRAIN_TIMEOUT - Duration::from_millis(100),
            "{took:?}"
        );
        drop((silent, half));
    });
}

/// Through the opening handshake, without the raw client: for what only the
/// stream itself can do.
async fn upgraded(mut stream: super::client::Stream) -> super::client::Stream {
    use tokio::io::AsyncReadExt;
    let head = Head::upgrade("/", "localhost").encode();
    stream.write_all(&head).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}
