//! Messages and closes, and what a test is told that waits for others.

use std::time::Duration;

use wsworker::prelude::*;
use wsworker::testing::{TestServer, Via};
use wsworker::{Event, State};

use super::{House, Order, both, in_memory};

#[test]
fn messages_come_back_in_order() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        for n in 0..1000 {
            ws.ready().await?;
            ws.send(n.to_string())?;
        }
        for n in 0..1000 {
            assert_eq!(ws.text().await?, n.to_string());
        }
        ws.send(vec![1, 2, 3])?;
        assert_eq!(ws.binary().await?[..], [1, 2, 3]);
        ws.send("order")?;
        assert_eq!(ws.json::<Order>().await?, Order { tea: 7 });
        ws.send("either")?;
        assert_eq!(ws.message().await?, Message::from("either"));
        ws.send("any")?;
        assert!(matches!(ws.event().await?, Event::Message(_)));
        ws.quiet_for(Duration::from_millis(20)).await?;
        server.shutdown().await
    });
}

#[test]
fn the_subprotocol_is_agreed_on() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let offer = Request::get("/ws").header("sec-websocket-protocol", "chat.v1, chat.v2");
        assert_eq!(server.connect(offer).await?.protocol(), Some("chat.v2"));
        assert_eq!(server.connect("/ws").await?.protocol(), None);
        server.shutdown().await
    });
}

#[test]
fn either_side_closes_with_a_code() {
    both(async |via| {
        let house = House::default();
        let server = TestServer::start(house.clone(), via).await?;
        let mut ws = server.connect("/ws").await?;
        ws.send("kick")?;
        let close = ws.closed().await?;
        assert_eq!(
            (close.code, &*close.reason, close.was_clean),
            (4001, "kicked", true)
        );
        assert!(ws.send("more").unwrap_err().is_closed());

        let mut ws = server.connect("/ws").await?;
        ws.send("bare")?;
        assert_eq!(ws.closed().await?.code, 1005);

        let mut ws = server.connect("/ws").await?;
        ws.send("not asked for")?;
        ws.close_with(1000, "bye")?;
        assert_eq!(ws.closed().await?.code, 1000);
        assert_eq!(ws.state(), State::Closed);

        drop(server.connect("/ws").await?);
        server.shutdown().await?;
        let closes = [
            "close 4001 kicked",
            "close 1005 ",
            "close 1000 bye",
            "close 1001 ",
        ];
        let heard = house.heard();
        for (opened, close) in heard.chunks(2).zip(closes) {
            assert_eq!(opened, ["open /ws", close], "{heard:?}");
        }
        assert_eq!(heard.len(), 8);
        Ok(())
    });
}

#[test]
fn a_callback_that_fails_or_panics_closes_its_socket_alone() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut bystander = server.connect("/ws").await?;
        for how in ["fail", "panic"] {
            let mut ws = server.connect("/ws").await?;
            ws.send(how)?;
            assert_eq!(ws.closed().await?.code, 1011, "{how}");
        }
        bystander.send("still here")?;
        assert_eq!(bystander.text().await?, "still here");
        server.shutdown().await
    });
}

#[test]
fn what_was_not_wanted_is_said_with_its_place() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        let place = "sockets.rs:";
        let check = |error: Error, wanted: &str| {
            let error = error.to_string();
            assert!(error.contains(place) && error.ends_with(wanted), "{error}");
        };
        ws.send("hello")?;
        let error = ws.binary().await.unwrap_err();
        check(error, r#"wanted a binary message, got the text "hello""#);
        ws.send(vec![0; 9])?;
        let error = ws.text().await.unwrap_err();
        check(
            error,
            "wanted a text message, got a binary message of 9 bytes",
        );
        ws.send("hello")?;
        let error = ws.closed().await.unwrap_err();
        check(error, r#"wanted a close, got the text "hello""#);
        ws.send("hello")?;
        let error = ws.json::<Order>().await.unwrap_err().to_string();
        assert!(
            error.contains(r#"got the text "hello": expected"#),
            "{error}"
        );
        ws.send("hello")?;
        let error = ws.quiet_for(Duration::from_secs(1)).await.unwrap_err();
        check(error, r#"wanted nothing, got the text "hello""#);
        ws.patience(Duration::from_millis(30));
        let error = ws.text().await.unwrap_err();
        check(error, "wanted a text message, nothing came within 30ms");
        ws.patience(Duration::from_secs(10));
        ws.send("kick")?;
        let error = ws.text().await.unwrap_err();
        check(
            error,
            r#"wanted a text message, got a close with 4001 "kicked""#,
        );
        let error = ws.closed().await.unwrap_err();
        check(error, "wanted a close, nothing comes after the close");
        server.shutdown().await
    });
}

/// Sends all the time, as fast as it may.
#[worker(max_buffered = "64 KiB")]
#[derive(Clone)]
struct Flood;

impl Worker for Flood {
    async fn on_message(&mut self, ws: &WebSocket, _message: Message) -> Result<()> {
        let mut sent = 0;
        while ws.send(vec![0; 16 << 10]).is_ok() {
            sent += 1;
        }
        ws.ready().await?;
        ws.send(format!("{sent}"))
    }
}

#[test]
fn a_socket_that_is_not_read_is_full() {
    both(async |via| {
        let server = TestServer::start(Flood, via).await?;
        let mut ws = server.connect("/").await?;
        ws.send("go")?;
        let mut came = 0;
        let sent = loop {
            match ws.message().await? {
                message if message.is_binary() => came += 1,
                message => break message.as_text().unwrap().parse::<usize>()?,
            }
        };
        assert_eq!(sent, came);
        assert_eq!(sent, 4, "64 KiB, and no more");
        server.shutdown().await
    });
}

/// Echoes, and says how many messages it has heard.
#[worker(max_buffered = "64 KiB")]
#[derive(Clone, Default)]
struct Counts(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Worker for Counts {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        ws.send(message)
    }
}

#[test]
fn a_test_that_does_not_ask_holds_up_an_echo() {
    const SENT: usize = 1000;
    in_memory(async |via: Via| {
        let counts = Counts::default();
        let heard = || counts.0.load(std::sync::atomic::Ordering::Relaxed);
        let server = TestServer::start(counts.clone(), via).await?;
        let mut ws = server.connect("/").await?;
        for _ in 0..SENT {
            ws.send(vec![0; 10_000])?;
        }
        // Nothing of it is asked for: 256 are kept, then the server waits.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!((256..300).contains(&heard()), "{}", heard());
        for _ in 0..SENT {
            ws.binary().await?;
        }
        assert_eq!(heard(), SENT);
        server.shutdown().await
    });
}
