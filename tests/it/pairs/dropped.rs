//! Ends that nobody accepts, and responses that are never sent.
//! Does not treat events that are dropped after they were accepted: `events` does.

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use wsworker::WebSocketPair;
use wsworker::prelude::*;

use super::{Asked, Handing, echo, expect_close, next, only, opened, tasks};
use crate::log::Logged;
use crate::raw::{DEADLINE, Frame, RawClient};
use crate::server::{Served, eventually, within};

#[test]
fn the_client_of_an_end_that_is_dropped_later_gets_1011() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (client, end) = WebSocketPair::new();
        let mut client = server.open(client).await;
        client.send(Frame::text("anyone?")).await;
        client.expect_quiet().await;
        drop(end);
        client.expect_close(1011).await;
        client.send(Frame::close(1011, "")).await;
        client.expect_clean_eof().await;
        only(before).await;
    });
}

#[test]
fn the_client_of_an_end_that_was_dropped_before_gets_1011() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (client, end) = WebSocketPair::new();
        drop(end);
        let mut client = server.open(client).await;
        client.expect_close(1011).await;
        client.send(Frame::close(1011, "")).await;
        client.expect_clean_eof().await;
        only(before).await;
    });
}

#[test]
fn an_accepted_end_hears_1011_if_the_other_is_dropped() {
    within(async || {
        let before = tasks();
        let (client, end) = WebSocketPair::new();
        let mut events = end.accept();
        events.send("unheard").unwrap();
        drop(client);
        expect_close(&mut events, 1011).await;
        only(before).await;
    });
}

#[test]
fn an_end_accepted_after_the_other_was_dropped_hears_1011() {
    within(async || {
        let before = tasks();
        let (client, end) = WebSocketPair::new();
        drop(client);
        let mut events = end.accept();
        expect_close(&mut events, 1011).await;
        only(before).await;
    });
}

/// What the log has of ends that nobody accepted.
fn warned(logged: &Logged) -> usize {
    logged.take("neither accepted nor returned").len()
}

#[test]
fn a_dropped_end_is_warned_of_once_whatever_the_other_becomes() {
    within(async || {
        let logged = Logged::start();
        let mut server = Handing::start().await;

        let (client, end) = WebSocketPair::new();
        let mut raw = server.open(client).await;
        assert_eq!(warned(&logged), 0);
        drop(end);
        raw.expect_close(1011).await;
        assert_eq!(warned(&logged), 1, "a client, before");

        let (client, end) = WebSocketPair::new();
        drop(end);
        assert_eq!(warned(&logged), 0);
        let mut raw = server.open(client).await;
        raw.expect_close(1011).await;
        assert_eq!(warned(&logged), 1, "a client, after");

        let (client, end) = WebSocketPair::new();
        let mut events = end.accept();
        drop(client);
        expect_close(&mut events, 1011).await;
        assert_eq!(warned(&logged), 1, "accepted, before");

        let (client, end) = WebSocketPair::new();
        drop(client);
        let mut events = end.accept();
        expect_close(&mut events, 1011).await;
        assert_eq!(warned(&logged), 1, "accepted, after");

        drop(WebSocketPair::new());
        assert_eq!(warned(&logged), 0, "nobody is there to miss it");
    });
}

#[test]
fn two_dropped_ends_leave_nothing() {
    within(async || {
        let before = tasks();
        for _ in 0..100 {
            drop(WebSocketPair::new());
        }
        assert_eq!(tasks(), before);
    });
}

#[test]
fn a_fetch_that_fails_after_it_made_its_response_drops_the_end() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (client, end) = WebSocketPair::new();
        let mut events = end.accept();
        let mut raw = RawClient::connect(server.addr).await;
        let head = raw.upgrade().encode();
        raw.send_raw(head).await;
        let Asked { upgrade, answer } = server.asked().await;
        drop(upgrade.respond(client));
        let _ = answer.send(Err(Error::new("as told")));
        assert_eq!(raw.read_response().await.status, 500);
        expect_close(&mut events, 1011).await;
        drop(raw);
        only(before).await;
    });
}

/// Responds at once, and tells how each client's connection closed.
#[worker]
#[derive(Clone)]
struct AtOnce(UnboundedSender<u16>);

impl Worker for AtOnce {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let upgrade = req.upgrade()?;
        let (client, end) = WebSocketPair::new();
        let (events, tell) = (end.accept(), self.0.clone());
        tokio::spawn(async move { tell.send(echo(events).await.code) });
        Ok(upgrade.respond(client))
    }

    async fn on_message(&mut self, _: &WebSocket, _: Message) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_client_that_does_not_wait_for_its_101_is_heard_as_1006() {
    within(async || {
        let logged = Logged::start();
        let (tell, mut told) = unbounded_channel();
        let server = Served::start(AtOnce(tell)).await;
        for round in 0..20 {
            let mut raw = RawClient::connect(server.addr).await;
            let mut bytes = raw.upgrade().encode();
            if round % 2 == 0 {
                // What is never read makes its end a reset.
                bytes.extend(Frame::text("hello").encode());
            }
            raw.send_raw(bytes).await;
            drop(raw);
            let code = timeout(DEADLINE, told.recv()).await;
            assert_eq!(code.expect("it never closes"), Some(1006));
        }
        assert_eq!(warned(&logged), 0);
    });
}

#[test]
fn an_upgrade_that_is_dropped_touches_no_pair() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut other, mut events) = opened(&mut server).await;
        let mut raw = RawClient::connect(server.addr).await;
        let head = raw.upgrade().encode();
        raw.send_raw(head).await;
        server.asked().await.fail();
        assert_eq!(raw.read_response().await.status, 500);
        other.send(Frame::text("still here")).await;
        super::expect_text(&mut events, "still here").await;
    });
}

#[test]
fn ends_dropped_outside_any_runtime_close_the_other() {
    within(async || {
        let (client, end) = WebSocketPair::new();
        let mut events = end.accept();
        std::thread::spawn(move || drop(client)).join().unwrap();
        expect_close(&mut events, 1011).await;
        // Neither has anywhere to run: it still ends.
        let mut events = std::thread::spawn(|| {
            let (client, end) = WebSocketPair::new();
            let events = end.accept();
            drop(client);
            events
        })
        .join()
        .unwrap();
        expect_close(&mut events, 1006).await;
        assert!(next(&mut events).await.is_none());
    });
}

#[test]
fn dropped_connections_give_their_places_back() {
    within(async || {
        let mut server = Handing::start().await;
        for _ in 0..10 {
            let (client, end) = WebSocketPair::new();
            let client = server.open(client).await;
            drop(end);
            drop(client);
        }
        let handle = server.served.handle.clone();
        eventually("no connection is open", || handle.connections() == 0).await;
    });
}

#[test]
fn an_end_accepted_outside_any_runtime_after_the_other_was_lost_hears_1006() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut raw = RawClient::connect(server.addr).await;
        let head = raw.upgrade().encode();
        raw.send_raw(head).await;
        let asked = server.asked().await;
        drop(raw);
        eventually("nobody waits", || asked.answer.is_closed()).await;
        asked.respond(client);
        let accepted = std::thread::spawn(|| end.accept());
        let mut events = accepted.join().expect("a client makes nobody panic");
        expect_close(&mut events, 1006).await;
    });
}
