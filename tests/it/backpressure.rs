//! A peer that does not read, and sends from outside a handler.
//! Does not treat what the server reads: `order` does.

use std::thread;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use wsworker::prelude::*;
use wsworker::{Slow, State, broadcast};

use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{CLOSE_TIMEOUT, Event, Recorded, Served, eventually, within};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Sends numbered messages of 10 kB until the peer takes no more; gives how many.
async fn fill(ws: &WebSocket) -> usize {
    let mut sent = 0;
    loop {
        match ws.send(numbered(sent)) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert!(error.is_full(), "{error}");
                assert!(!error.is_closed());
                let ready = timeout(Duration::from_millis(200), ws.ready()).await;
                match ready {
                    Ok(ready) => ready.unwrap(),
                    Err(_) => return sent,
                }
            }
        }
        assert!(sent < 1000, "10 MB were taken, and nobody reads");
    }
}

fn numbered(i: usize) -> String {
    format!("{i:>10000}")
}

#[test]
fn a_full_socket_says_so_and_is_bounded() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * KIB)).await;
        let mut client = server.open_unix().await;
        let ws = server.opened().await;
        let sent = fill(&ws).await;
        println!("{sent} messages of 10 kB were taken");
        // One message may overshoot.
        assert!(ws.buffered() >= 64 * KIB / 2, "{}", ws.buffered());
        assert!(ws.buffered() <= 64 * KIB + 11_000, "{}", ws.buffered());
        assert!(sent * 10_000 < MIB, "{sent} messages");
        assert_eq!(ws.state(), State::Open);
        let error = ws.send("x").unwrap_err().to_string();
        assert!(error.contains("full"), "{error}");
        // Nothing of it is lost, and it goes on.
        for i in 0..sent {
            client.expect_text(&numbered(i)).await;
        }
        ws.ready().await.unwrap();
        ws.send("and on").unwrap();
        client.expect_text("and on").await;
        eventually("nothing is left", || ws.buffered() == 0).await;
    });
}

#[test]
fn ready_waits_for_room() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * KIB)).await;
        let mut client = server.open_unix().await;
        let ws = server.opened().await;
        timeout(Duration::from_millis(100), ws.ready())
            .await
            .expect("an empty socket is ready")
            .unwrap();
        let sent = fill(&ws).await;
        let waiting = tokio::spawn({
            let ws = ws.clone();
            async move {
                ws.ready().await?;
                ws.send("there was room")
            }
        });
        sleep(Duration::from_millis(100)).await;
        assert!(!waiting.is_finished());
        for i in 0..sent {
            client.expect_text(&numbered(i)).await;
        }
        client.expect_text("there was room").await;
        waiting.await.unwrap().unwrap();
    });
}

#[test]
fn ready_ends_when_the_connection_ends() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * KIB)).await;
        let client = server.open_unix().await;
        let ws = server.opened().await;
        fill(&ws).await;
        let waiting = tokio::spawn({
            let ws = ws.clone();
            async move { ws.ready().await }
        });
        sleep(Duration::from_millis(50)).await;
        drop(client);
        let ended = timeout(crate::raw::DEADLINE, waiting).await;
        let error = ended.expect("ready waits for ever").unwrap().unwrap_err();
        assert!(error.is_closed(), "{error}");
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn one_message_of_any_size_passes_an_empty_queue() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(KIB)).await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        let large = vec![3; 5 * MIB];
        ws.send(large.clone()).unwrap();
        assert!(ws.send("no more").unwrap_err().is_full());
        client.expect_binary(&large).await;
        ws.ready().await.unwrap();
        ws.send("now").unwrap();
        client.expect_text("now").await;
    });
}

#[test]
fn an_echo_slows_by_itself_and_loses_nothing() {
    within(async || {
        const COUNT: usize = 1200;
        let server = Recorded::start_with(|s| s.max_buffered(64 * KIB)).await;
        let mut client = RawClient::connect_narrow(server.addr).await;
        client.handshake(&[]).await;
        let bytes = encode_all((0..COUNT).map(|i| Frame::text(numbered(i))));
        let sent = client.writer.send_until_stalled(&bytes).await;
        println!("{sent} of {} bytes were taken", bytes.len());
        assert!(sent < bytes.len(), "everything was taken and nothing read");
        let (mut reader, mut writer) = (client.reader, client.writer);
        let writing = tokio::spawn(async move {
            writer.send_raw(&bytes[sent..]).await;
            writer
        });
        for i in 0..COUNT {
            assert_eq!(reader.read_frame().await.text(), numbered(i));
        }
        let mut writer = writing.await.unwrap();
        writer.send_raw(Frame::close(1000, "").encode()).await;
        assert_eq!(reader.read_frame().await.close_code(), Some(1000));
        reader.expect_eof().await;
    });
}

/// Sends `burst` messages for each it gets, and fails when one is refused.
#[worker]
#[derive(Clone)]
struct Bursts;

impl Worker for Bursts {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        for _ in 0..4 {
            ws.ready().await?;
            ws.send(message.clone())?;
        }
        Ok(())
    }
}

#[test]
fn a_handler_may_wait_for_room() {
    within(async || {
        let server = Served::start_with(Bursts, |s| s.max_buffered(32 * KIB)).await;
        let mut client = RawClient::connect_narrow(server.addr).await;
        client.handshake(&[]).await;
        let bytes = encode_all((0..300).map(|i| Frame::text(numbered(i))));
        let (mut reader, mut writer) = (client.reader, client.writer);
        let writing = tokio::spawn(async move {
            writer.send_raw(&bytes).await;
            writer
        });
        sleep(Duration::from_millis(200)).await;
        for i in 0..300 {
            for _ in 0..4 {
                assert_eq!(reader.read_frame().await.text(), numbered(i));
            }
        }
        writing.await.unwrap();
    });
}

#[test]
fn closing_a_full_socket_sends_what_is_queued_and_then_the_close() {
    within(async || {
        let mut server = Recorded::start_with(|s| {
            s.max_buffered(64 * KIB)
                .close_timeout(Duration::from_secs(4))
        })
        .await;
        let mut client = server.open_unix().await;
        let ws = server.opened().await;
        let sent = fill(&ws).await;
        ws.close_with(4000_u16, "enough").unwrap();
        for i in 0..sent {
            client.expect_text(&numbered(i)).await;
        }
        assert_eq!(client.expect_close(4000).await, "enough");
        client.send(Frame::close(4000, "")).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(4000, "")).await;
    });
}

#[test]
fn closing_a_socket_that_nobody_reads_ends_in_time() {
    within(async || {
        let mut server = Recorded::start_with(|s| s.max_buffered(64 * KIB)).await;
        let _client = server.open_unix().await;
        let ws = server.opened().await;
        fill(&ws).await;
        let begun = std::time::Instant::now();
        ws.close().unwrap();
        server.expect(Event::Open).await;
        server.expect_unclean(1006).await;
        let took = begun.elapsed();
        assert!(took < CLOSE_TIMEOUT * 4, "{took:?}");
        assert_eq!(server.finish().await, []);
    });
}

// Broadcasts

/// Broadcasts to a socket that takes no more and to one that does; gives the
/// slow client, its server, and how many messages it had before.
async fn broadcasts(slow: Slow) -> (RawClient, Recorded, usize) {
    let mut server = Recorded::start_with(|s| {
        s.slow(slow)
            .max_buffered(64 * KIB)
            .close_timeout(Duration::from_secs(4))
    })
    .await;
    let narrow = server.open_unix().await;
    let full = server.opened().await;
    let sent = fill(&full).await;
    let mut other = RawClient::open(server.addr).await;
    let free = server.opened().await;
    let gone = RawClient::open(server.addr).await;
    let closed = server.opened().await;
    gone.close().await;
    broadcast([&closed, &full, &free], "news");
    other.expect_text("news").await;
    for _ in 0..2 {
        server.expect(Event::Open).await;
    }
    (narrow, server, sent)
}

#[test]
fn a_broadcast_closes_a_full_socket_with_1013() {
    within(async || {
        let (mut client, _server, sent) = broadcasts(Slow::Close).await;
        for i in 0..sent {
            client.expect_text(&numbered(i)).await;
        }
        client.expect_close(1013).await;
        client.send(Frame::close(1013, "")).await;
        client.expect_clean_eof().await;
    });
}

#[test]
fn a_broadcast_drops_its_message_for_a_full_socket_if_told_to() {
    within(async || {
        let (mut client, _server, sent) = broadcasts(Slow::Drop).await;
        for i in 0..sent {
            client.expect_text(&numbered(i)).await;
        }
        client.send(Frame::text("still here")).await;
        client.expect_text("still here").await;
    });
}

// Sends from outside a handler

#[test]
fn a_send_from_another_thread_arrives() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        thread::spawn(move || ws.send("from afar"))
            .join()
            .unwrap()
            .unwrap();
        client.expect_text("from afar").await;
    });
}

#[test]
fn each_threads_messages_arrive_in_its_order() {
    within(async || {
        const THREADS: usize = 4;
        const COUNT: usize = 500;
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        let senders: Vec<_> = (0..THREADS)
            .map(|t| {
                let ws = ws.clone();
                thread::spawn(move || {
                    for i in 0..COUNT {
                        ws.send(format!("{t} {i}")).unwrap();
                    }
                })
            })
            .collect();
        let mut next = [0; THREADS];
        for _ in 0..THREADS * COUNT {
            let frame = client.read_frame().await;
            let (t, i) = frame.text().split_once(' ').unwrap();
            let (t, i): (usize, usize) = (t.parse().unwrap(), i.parse().unwrap());
            assert_eq!(i, next[t], "thread {t}");
            next[t] += 1;
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn sends_from_outside_keep_their_order_with_those_in_a_handler() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        for round in 0..20 {
            client
                .send_all([Frame::text("in 1"), Frame::text("!hold")])
                .await;
            client.expect_text("in 1").await;
            let held = Event::text("!hold");
            while server.next().await != held {}
            ws.send(format!("out {round}")).unwrap();
            // Without a chance to flush: what came first is queued.
            server.release();
            client.expect_text(&format!("out {round}")).await;
            client.expect_text("!hold").await;
        }
    });
}

#[test]
fn a_send_while_a_handler_waits_leaves_at_once() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open(server.addr).await;
        let ws = server.opened().await;
        client.send(Frame::text("!hold")).await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!hold")).await;
        ws.send("meanwhile").unwrap();
        client.expect_text("meanwhile").await;
        server.release();
        client.expect_text("!hold").await;
    });
}

/// Relays each message to the other of two sockets, and echoes it.
#[worker]
#[derive(Clone)]
struct Pair {
    sockets: std::sync::Arc<std::sync::Mutex<Vec<WebSocket>>>,
}

impl Worker for Pair {
    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        self.sockets.lock().unwrap().push(ws.clone());
        ws.send("open")
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let sockets = self.sockets.lock().unwrap().clone();
        for socket in &sockets {
            socket.send(message.clone())?;
        }
        ws.send("told")
    }
}

#[test]
fn a_handler_sends_to_other_connections() {
    within(async || {
        let sockets = std::sync::Arc::default();
        let server = Served::start(Pair { sockets }).await;
        let mut a = RawClient::open(server.addr).await;
        a.expect_text("open").await;
        let mut b = RawClient::open(server.addr).await;
        b.expect_text("open").await;
        for i in 0..50 {
            let text = format!("news {i}");
            a.send(Frame::text(&text)).await;
            a.expect_text(&text).await;
            a.expect_text("told").await;
            b.expect_text(&text).await;
        }
    });
}
