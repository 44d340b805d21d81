//! An end that is returned to a client, and the other that was accepted before.
//! Does not treat one that is accepted after: `held` does.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wsworker::prelude::*;
use wsworker::{Event, State, WebSocketPair};

use super::{Handing, KIB, echo, echoes, expect_close, expect_text, next, opened, tasks};
use crate::raw::{Frame, RawClient, encode_all};
use crate::server::{Served, is_settled, within};

#[test]
fn an_accepted_end_talks_to_the_client_that_the_other_went_to() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        client
            .send_all([Frame::text("one"), Frame::binary(b"two")])
            .await;
        expect_text(&mut events, "one").await;
        let Some(Event::Message(two)) = next(&mut events).await else {
            panic!("no second message");
        };
        assert!(two.is_binary() && two.as_bytes() == b"two");
        events.send("hello").unwrap();
        client.expect_text("hello").await;
        client.send(Frame::close(4001, "bye")).await;
        let close = expect_close(&mut events, 4001).await;
        assert!(close.was_clean && close.reason == "bye");
        assert_eq!(client.expect_close(4001).await, "bye");
        client.expect_clean_eof().await;
    });
}

#[test]
fn a_pair_costs_no_task_that_a_workers_own_socket_does_not() {
    within(async || {
        let mut server = Handing::start().await;
        let before = tasks();
        let (mut client, mut events) = opened(&mut server).await;
        events.send("there").unwrap();
        client.expect_text("there").await;
        let own = usize::from(!is_settled());
        assert_eq!(tasks(), before + own);
        client.send(Frame::text("x")).await;
        expect_text(&mut events, "x").await;
        assert_eq!(tasks(), before + own);
    });
}

#[test]
fn what_was_sent_before_the_101_goes_out_behind_it_in_order() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let events = end.accept();
        assert_eq!(events.state(), State::Open);
        for i in 0..100 {
            events.send(format!("early {i}")).unwrap();
        }
        assert!(events.buffered() > 800, "{}", events.buffered());
        let mut client = server.open(client).await;
        events.send("late").unwrap();
        for i in 0..100 {
            client.expect_text(&format!("early {i}")).await;
        }
        client.expect_text("late").await;
        assert_eq!(events.buffered(), 0);
    });
}

#[test]
fn what_is_sent_early_is_bounded_and_ready_waits() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let events = end.accept();
        let large = vec![7; 600 * KIB];
        events.send(large.clone()).unwrap();
        events.send(large.clone()).unwrap();
        let error = events.send("x").unwrap_err();
        assert!(error.is_full(), "{error}");
        let ws = events.clone();
        let ready = tokio::spawn(async move { ws.ready().await });
        let mut client = server.open(client).await;
        client.expect_binary(&large).await;
        client.expect_binary(&large).await;
        ready.await.unwrap().unwrap();
        events.send("x").unwrap();
        client.expect_text("x").await;
    });
}

#[test]
fn an_end_closed_before_the_101_closes_behind_it() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        let mut events = end.accept();
        events.send("last").unwrap();
        events.close_with(4002, "early").unwrap();
        assert_eq!(events.state(), State::Closing);
        let mut client = server.open(client).await;
        client.expect_text("last").await;
        assert_eq!(client.expect_close(4002).await, "early");
        client.send(Frame::text("unheard")).await;
        client.send(Frame::close(4002, "")).await;
        client.expect_clean_eof().await;
        expect_close(&mut events, 4002).await;
    });
}

#[test]
fn events_dropped_before_the_101_close_with_1001() {
    within(async || {
        let mut server = Handing::start().await;
        let (client, end) = WebSocketPair::new();
        drop(end.accept());
        let mut client = server.open(client).await;
        client.expect_close(1001).await;
    });
}

#[test]
fn the_servers_limits_are_the_pairs() {
    within(async || {
        let limits = |server: Server| server.max_message(KIB).max_buffered(2 * KIB);
        let mut server = Handing::start_with(limits).await;
        let (mut client, mut events) = opened(&mut server).await;
        client.send(Frame::text("is it bound?")).await;
        expect_text(&mut events, "is it bound?").await;
        events.send(vec![0; 3 * KIB]).unwrap();
        assert!(events.send("x").unwrap_err().is_full());
        client.expect_binary(&vec![0; 3 * KIB]).await;
        client.send(Frame::binary(vec![0; KIB + 1])).await;
        client.expect_close(1009).await;
        assert!(matches!(next(&mut events).await, Some(Event::Error(e)) if e.is_protocol()));
        expect_close(&mut events, 1009).await;
    });
}

#[test]
fn the_handshakes_facts_are_the_sockets() {
    within(async || {
        let mut server = Handing::start_with(|s| s.protocols(["b"]).var("NAME", "value")).await;
        let (client, end) = WebSocketPair::new();
        assert_eq!((client.protocol(), end.protocol()), (None, None));
        let mut raw = RawClient::connect(server.addr).await;
        let answering = async {
            let asked = server.asked().await;
            asked.respond(client);
        };
        let offers = [("Sec-WebSocket-Protocol", "a, b")];
        let (response, ()) = tokio::join!(raw.handshake(&offers), answering);
        assert_eq!(response.header("sec-websocket-protocol"), Some("b"));
        assert_eq!(end.protocol(), Some("b"));
        let events = end.accept();
        assert_eq!(events.protocol(), Some("b"));
        assert_eq!(events.remote_addr(), Some(raw.local_addr()));
        assert_eq!(events.env().var("NAME").unwrap(), "value");
    });
}

#[test]
fn shutting_down_closes_an_accepted_end_with_1001() {
    within(async || {
        let mut server = Handing::start().await;
        let (mut client, mut events) = opened(&mut server).await;
        let (ended, ()) = tokio::join!(next(&mut events), async {
            server.served.handle.shutdown();
            client.expect_close(1001).await;
            client.send(Frame::close(1001, "")).await;
            client.expect_clean_eof().await;
        });
        assert!(matches!(ended, Some(Event::Close(close)) if close.code == 1001));
        server.served.returned().await;
    });
}

#[test]
fn an_end_may_be_accepted_in_another_task_than_the_one_that_responds() {
    within(async || {
        let mut server = Handing::start().await;
        for _ in 0..20 {
            let (client, end) = WebSocketPair::new();
            let echoing = tokio::spawn(async move { echo(end.accept()).await });
            let mut client = server.open(client).await;
            echoes(&mut client, "hello").await;
            client.close().await;
            assert_eq!(echoing.await.unwrap().code, 1000);
        }
    });
}

// Callbacks

/// Says what it hears.
#[worker]
#[derive(Clone)]
pub(super) struct Says(pub(super) Arc<UnboundedSender<String>>);

impl Says {
    fn say(&self, text: String) {
        let _ = self.0.send(text);
    }
}

impl Worker for Says {
    async fn on_open(&mut self, ws: &WebSocket, req: &Request) -> Result<()> {
        self.say(format!("open {}", req.path()));
        ws.send("welcome")
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let text = message.as_text().unwrap_or_default();
        self.say(format!("message {text}"));
        if text == "fail" {
            return Err(Error::new("as told"));
        }
        ws.send(message)
    }

    async fn on_error(&mut self, _ws: &WebSocket, error: &Error) {
        self.say(format!("error {error}"));
    }

    async fn on_close(&mut self, _ws: &WebSocket, close: CloseEvent) {
        self.say(format!("close {}", close.code));
    }
}

#[test]
fn callbacks_of_an_accepted_end_hear_the_client() {
    within(async || {
        let mut server = Handing::start().await;
        let (say, mut said) = unbounded_channel();
        let (client, end) = WebSocketPair::new();
        let ws = end.accept_with(Says(Arc::new(say)));
        ws.send("early").unwrap();
        let mut raw = RawClient::connect(server.addr).await;
        let answering = async {
            let asked = server.asked().await;
            assert!(said.is_empty(), "nothing is open yet");
            asked.respond(client);
        };
        tokio::join!(raw.handshake_at("/room/7", &[]), answering);
        raw.expect_text("early").await;
        raw.expect_text("welcome").await;
        raw.send(Frame::text("a")).await;
        raw.expect_text("a").await;
        raw.send(Frame::text("fail")).await;
        raw.expect_close(1011).await;
        let wanted = ["open /room/7", "message a", "message fail", "error as told"];
        for wanted in wanted {
            assert_eq!(said.recv().await.as_deref(), Some(wanted));
        }
        assert_eq!(said.recv().await.as_deref(), Some("close 1011"));
        assert_eq!(said.recv().await, None, "the value is gone");
    });
}

/// As the guide has it: the end is accepted in `fetch`, before the response.
#[worker]
#[derive(Clone)]
struct Guide;

impl Worker for Guide {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let upgrade = req.upgrade()?;
        let (client, server) = WebSocketPair::new();
        let mut events = server.accept();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if let Event::Message(message) = event {
                    events.send(message).unwrap();
                }
            }
        });
        Ok(upgrade.respond(client))
    }

    async fn on_message(&mut self, _: &WebSocket, _: Message) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_pair_made_in_fetch_echoes_what_was_sent_with_the_handshake() {
    within(async || {
        let server = Served::start(Guide).await;
        let mut client = RawClient::connect(server.addr).await;
        let mut bytes = client.upgrade().encode();
        bytes.extend(encode_all((0..50).map(|i| Frame::text(i.to_string()))));
        client.send_raw(bytes).await;
        client.read_response().await.assert_upgraded();
        for i in 0..50 {
            client.expect_text(&i.to_string()).await;
        }
        client.close().await;
    });
}
