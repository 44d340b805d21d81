//! What is agreed on besides the upgrade: the subprotocol, extensions.
//! Does not treat what must be there in any case: the module above does.

use wsworker::prelude::*;

use super::answer;
use crate::raw::{Head, RawClient};
use crate::server::{Recorded, Served, within};

async fn with_protocols(ours: &'static [&'static str], offers: &[&str]) -> Option<String> {
    let server = Recorded::start_with(|s| s.protocols(ours.iter().copied())).await;
    let mut client = RawClient::connect(server.addr).await;
    let mut head = client.upgrade();
    for offer in offers {
        head = head.with("Sec-WebSocket-Protocol", offer);
    }
    client.send_raw(head.encode()).await;
    let answer = client.read_response().await;
    answer.assert_upgraded();
    answer.header("sec-websocket-protocol").map(str::to_owned)
}

#[test]
fn offered_subprotocols_are_ignored_when_the_server_has_none() {
    within(async || {
        assert_eq!(with_protocols(&[], &["chat.v1, chat.v2"]).await, None);
    });
}

#[test]
fn no_subprotocol_is_sent_when_none_was_offered() {
    within(async || {
        assert_eq!(with_protocols(&["chat.v1"], &[]).await, None);
    });
}

#[test]
fn no_subprotocol_is_sent_when_none_fits() {
    within(async || {
        // Subprotocols have a case (RFC 6455 §11.3.4).
        let chosen = with_protocols(&["chat.v1"], &["chat.v2, CHAT.V1"]).await;
        assert_eq!(chosen, None);
    });
}

#[test]
fn the_subprotocol_is_the_first_of_the_servers_that_was_offered() {
    within(async || {
        let ours = &["chat.v3", "chat.v2", "chat.v1"];
        let chosen = with_protocols(ours, &["chat.v1, chat.v2"]).await;
        assert_eq!(chosen.as_deref(), Some("chat.v2"));
    });
}

#[test]
fn subprotocols_may_be_offered_on_two_lines() {
    within(async || {
        let chosen = with_protocols(&["b", "a"], &["a", "b"]).await;
        assert_eq!(chosen.as_deref(), Some("b"));
    });
}

/// Picks the subprotocol that its path names, and greets with what the socket says.
#[worker]
#[derive(Clone)]
struct Picks;

impl Worker for Picks {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        let wanted = req.path()[1..].to_owned();
        match req.upgrade()?.protocol(&wanted) {
            Ok(upgrade) => Ok(upgrade.accept()),
            Err(error) => Response::error(format!("refused: {error}"), 418),
        }
    }

    async fn on_open(&mut self, ws: &WebSocket, _req: &Request) -> Result<()> {
        ws.send(format!("{:?}", ws.protocol()))
    }

    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_worker_picks_an_offered_subprotocol() {
    within(async || {
        let server = Served::start(Picks).await;
        let mut client = RawClient::connect(server.addr).await;
        let offer = [("Sec-WebSocket-Protocol", "a, b, c")];
        let answer = client.handshake_at("/b", &offer).await;
        assert_eq!(answer.header("sec-websocket-protocol"), Some("b"));
        client.expect_text("Some(\"b\")").await;
    });
}

#[test]
fn a_worker_cannot_pick_what_was_not_offered() {
    within(async || {
        let server = Served::start(Picks).await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::upgrade("/d", client.host()).with("Sec-WebSocket-Protocol", "a, b");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.status, 418);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert!(answer.text().contains('d'), "{}", answer.text());
    });
}

#[test]
fn permessage_deflate_is_declined() {
    within(async || {
        let offer = "permessage-deflate; client_max_window_bits";
        let answer = answer(|head| head.with("Sec-WebSocket-Extensions", offer)).await;
        answer.assert_upgraded();
        assert_eq!(answer.header("sec-websocket-extensions"), None);
    });
}
