//! What is checked of each server, over TCP and over TLS.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::sleep;
use wsworker::prelude::*;

use super::Judge;
use super::peer::{CANNOT, Peer, SHORT, Socket, equal};

/// Runs these checks by their names.
macro_rules! checks {
    ($($name:ident)*) => {
        pub async fn all(judge: &mut Judge, peer: &Peer) {
            $(judge.check(stringify!($name), $name(peer)).await;)*
        }
    };
}

checks! {
    nothing_is_offered_that_we_do_not_have
    what_we_send_with_the_request_arrives
    the_subprotocol_is_the_one_that_the_server_chose
    a_refusal_is_a_response_to_read
    texts_of_every_width_of_code_point
    text_and_binary_of_every_length_form
    two_thousand_messages_in_order
    sixteen_mebibytes_in_one_go
    many_messages_in_one_go_from_the_server
    messages_in_fragments_with_a_ping_between
    pings_are_answered_with_their_payload
    a_silent_server_is_pinged_and_stays
    every_close_code_of_the_servers
    a_close_of_the_servers_without_a_code
    every_close_code_of_ours
    a_close_of_ours_without_a_code
    a_lost_server_is_1006
    a_dropped_socket_closes_with_1001
    a_message_over_the_limit_closes_with_1009
    twenty_sockets_at_once
    only_whom_we_trust_over_tls
}

/// Texts and sizes where encodings and length fields change.
const TEXTS: [&str; 6] = [
    "",
    "a",
    "hello",
    "\0",
    "\u{7ff}\u{800}\u{ffff}",
    "κόσμε \u{1f600}\u{10ffff}",
];
const SIZES: [usize; 8] = [0, 1, 125, 126, 127, 65_535, 65_536, MIB];
const MIB: usize = 1 << 20;
const CODES: [u16; 16] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];

/// The servers would compress, and `permessage-deflate` is not asked for.
async fn nothing_is_offered_that_we_do_not_have(peer: &Peer) -> Result<()> {
    let response = peer.client().build()?.fetch(peer.get("/request")).await?;
    equal(response.header_str("sec-websocket-extensions"), None)?;
    equal(response.header_str("sec-websocket-protocol"), None)?;
    let mut ws = Socket(response.into_websocket()?.accept());
    let head = ws.message().await?.to_string();
    for name in [
        "sec-websocket-extensions:",
        "sec-websocket-protocol:",
        "origin:",
    ] {
        equal(head.lines().find(|line| line.starts_with(name)), None)?;
    }
    ws.end().await
}

async fn what_we_send_with_the_request_arrives(peer: &Peer) -> Result<()> {
    let request = peer
        .get("/request")
        .header("Cookie", "a=b; c=d")
        .header("Authorization", "Bearer x")
        .header("Origin", "http://a.example");
    let mut ws = peer.open_with(peer.client(), request).await?;
    let head = ws.message().await?.to_string();
    for wanted in [
        "cookie: a=b; c=d",
        "authorization: Bearer x",
        "origin: http://a.example",
    ] {
        equal(head.lines().find(|line| *line == wanted), Some(wanted))?;
    }
    ws.end().await
}

async fn the_subprotocol_is_the_one_that_the_server_chose(peer: &Peer) -> Result<()> {
    for (offered, chosen) in [
        ("chat.v1", "chat.v1"),
        ("chat.v1, other, chat.v2", "chat.v2"),
        // It has none of these; Bun says yes to any.
        ("other", "other"),
    ] {
        let request = peer.get("/echo").header("Sec-WebSocket-Protocol", offered);
        let mut ws = peer.open_with(peer.client(), request).await?;
        match ws.0.protocol() {
            None if offered == "other" => {}
            protocol => equal(protocol, Some(chosen))?,
        }
        ws.echoes("hello").await?;
        ws.end().await?;
    }
    Ok(())
}

async fn a_refusal_is_a_response_to_read(peer: &Peer) -> Result<()> {
    let mut response = peer.client().build()?.fetch(peer.get("/refuse")).await?;
    equal(response.status().as_u16(), 403)?;
    equal(response.text().await?.trim(), "not you")?;
    let text = match response.into_websocket() {
        Ok(_) => "a WebSocket".to_owned(),
        Err(error) => error.to_string(),
    };
    equal(text.contains("server didn't accept WebSocket"), true)
}

async fn texts_of_every_width_of_code_point(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("/echo").await?;
    for text in TEXTS {
        ws.echoes(text).await?;
    }
    ws.end().await
}

async fn text_and_binary_of_every_length_form(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("/echo").await?;
    for size in SIZES {
        ws.echoes("x".repeat(size)).await?;
        ws.echoes(bytes(size)).await?;
    }
    ws.end().await
}

async fn two_thousand_messages_in_order(peer: &Peer) -> Result<()> {
    let message = |i: usize| match i % 3 {
        0 => Message::from(format!("binary {i}").into_bytes()),
        _ => Message::from(format!("text {i}")),
    };
    let mut ws = peer.open("/echo").await?;
    for i in 0..2000 {
        ws.0.send(message(i))?;
    }
    for i in 0..2000 {
        ws.hears(message(i)).await?;
    }
    ws.end().await
}

async fn sixteen_mebibytes_in_one_go(peer: &Peer) -> Result<()> {
    let client = peer.client().max_buffered(32 << 20);
    let mut ws = peer.open_with(client, peer.get("/echo")).await?;
    for i in 0..16 {
        ws.0.send(vec![i; MIB])?;
    }
    for i in 0..16 {
        ws.hears(vec![i; MIB]).await?;
    }
    ws.end().await
}

async fn many_messages_in_one_go_from_the_server(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("/many").await?;
    for i in 0..2000 {
        ws.hears(format!("message {i}")).await?;
    }
    ws.end().await
}

async fn messages_in_fragments_with_a_ping_between(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("/fragments").await?;
    ws.hears("one two \u{1f600}").await?;
    let parts = (0..100).map(|i: u8| vec![i; usize::from(i) * 100]);
    ws.hears(parts.flatten().collect::<Vec<_>>()).await?;
    ws.end().await
}

async fn pings_are_answered_with_their_payload(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("/pings").await?;
    for size in [0, 1, 125] {
        ws.hears(format!("pong of {size}")).await?;
    }
    ws.end().await
}

async fn a_silent_server_is_pinged_and_stays(peer: &Peer) -> Result<()> {
    let client = peer.client().idle_timeout(SHORT);
    let mut ws = peer.open_with(client, peer.get("/echo")).await?;
    tokio::select! {
        event = ws.0.next() => equal(format!("{event:?}"), "silence".to_owned())?,
        () = sleep(SHORT * 3) => {}
    }
    ws.echoes("still here").await?;
    ws.end().await
}

async fn every_close_code_of_the_servers(peer: &Peer) -> Result<()> {
    for code in CODES {
        let path = format!("/close?code={code}&reason=of%20{code}%20%C3%A9");
        let close = peer.open(&path).await?.closed().await?;
        equal(close.to_string(), format!("{code} (of {code} é)"))?;
        equal(close.was_clean, true)?;
    }
    let path = format!("/close?code=4000&reason={}.", "%C3%A9".repeat(61));
    let close = peer.open(&path).await?.closed().await?;
    equal(close.reason.len(), 123)
}

async fn a_close_of_the_servers_without_a_code(peer: &Peer) -> Result<()> {
    let close = peer.open("/close").await?.closed().await?;
    if close.reason == CANNOT {
        return Err(Error::new(CANNOT));
    }
    equal((close.code, close.was_clean), (1005, true))
}

async fn every_close_code_of_ours(peer: &Peer) -> Result<()> {
    for code in CODES {
        let id = unique();
        let mut ws = peer.open(&format!("/echo?id={id}")).await?;
        ws.0.close_with(code, &format!("of {code} é"))?;
        let close = ws.closed().await?;
        equal((close.code, close.was_clean), (code, true))?;
        heard_as(peer, &id, &format!("{code} of {code} é")).await?;
    }
    Ok(())
}

async fn a_close_of_ours_without_a_code(peer: &Peer) -> Result<()> {
    let id = unique();
    let mut ws = peer.open(&format!("/echo?id={id}")).await?;
    ws.echoes("hello").await?;
    ws.0.close()?;
    equal(ws.closed().await?.was_clean, true)?;
    heard_as(peer, &id, "1005 ").await
}

async fn a_lost_server_is_1006(peer: &Peer) -> Result<()> {
    let mut ws = peer.open("/lost").await?;
    loop {
        match ws.0.next().await {
            // A reset may be one.
            Some(Event::Error(_)) => {}
            Some(Event::Close(close)) => {
                return equal((close.code, close.was_clean), (1006, false));
            }
            other => equal(format!("{other:?}"), "a close".to_owned())?,
        }
    }
}

async fn a_dropped_socket_closes_with_1001(peer: &Peer) -> Result<()> {
    let id = unique();
    drop(peer.open(&format!("/echo?id={id}")).await?);
    heard_as(peer, &id, "1001 ").await
}

async fn a_message_over_the_limit_closes_with_1009(peer: &Peer) -> Result<()> {
    let id = unique();
    let client = peer.client().max_message(MIB);
    let request = peer.get(&format!("/echo?id={id}"));
    let mut ws = peer.open_with(client, request).await?;
    ws.echoes(bytes(MIB)).await?;
    ws.0.send(bytes(MIB + 1))?;
    let Some(Event::Error(error)) = ws.0.next().await else {
        return Err(Error::new("no error came"));
    };
    equal(error.close_code(), Some(1009))?;
    equal(ws.closed().await?.code, 1009)?;
    let mut asking = peer.open(&format!("/closed?id={id}")).await?;
    let heard = asking.message().await?.to_string();
    equal(heard.split(' ').next(), Some("1009"))
}

async fn twenty_sockets_at_once(peer: &Peer) -> Result<()> {
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(peer.open("/echo").await?);
    }
    for (i, ws) in sockets.iter_mut().enumerate() {
        ws.0.send(format!("socket {i}"))?;
    }
    for (i, ws) in sockets.iter_mut().enumerate() {
        ws.hears(format!("socket {i}")).await?;
    }
    for ws in sockets {
        ws.end().await?;
    }
    Ok(())
}

async fn only_whom_we_trust_over_tls(peer: &Peer) -> Result<()> {
    let fetched = Client::new().fetch(peer.get("/echo")).await;
    equal(fetched.is_ok(), peer.scheme() == "ws")?;
    if let Err(error) = fetched {
        equal(error.is_fetch(), true)?;
        equal(error.to_string().contains("certificate"), true)?;
    }
    Ok(())
}

/// Wants the server to have heard this close of the socket with this id.
async fn heard_as(peer: &Peer, id: &str, wanted: &str) -> Result<()> {
    let mut ws = peer.open(&format!("/closed?id={id}")).await?;
    ws.hears(wanted).await?;
    ws.end().await
}

fn unique() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + (i >> 8)) as u8).collect()
}
