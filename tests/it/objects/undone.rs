//! Events that fail, and commits that do: none of it happened.

use std::sync::Arc;
use std::time::Duration;

use wsworker::storage::{Fault, FaultyStorage, MemoryStorage};

use super::probe::{Probe, event, serve};
use super::storage::Scripted;
use super::*;
use crate::raw::{Frame, RawClient};
use crate::server::{Served, within};

/// What a socket hears of its own failure: the rebuilt object's `on_error`, then 1011.
async fn fails(ws: &mut TestSocket, words: &str, why: &str) {
    ws.send(words).unwrap();
    let told = ws.text().await.unwrap();
    assert!(told.starts_with("error after 0: "), "{told}");
    assert!(told.contains(why), "{told}");
    assert_eq!(ws.closed().await.unwrap().code, 1011);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_leaves_nothing() {
    for failing in ["put-all-fail k v", "put-panic k v", "put-abort k v"] {
        let server = rooms().await;
        let mut other = server.connect("/a").await.unwrap();
        let mut ws = server.connect("/a?tags=x").await.unwrap();
        other.send("put k before").unwrap();
        assert_eq!(ask(&mut other, "heard").await, "2");
        fails(&mut ws, failing, "as asked").await;
        let told = other.text().await.unwrap();
        assert!(told.starts_with("error after 0: "), "{told}");
        assert_eq!(other.text().await.unwrap(), "left 1011 1");
        assert_eq!(ask(&mut other, "get k").await, "before");
        // The value is a new one.
        assert_eq!(ask(&mut other, "heard").await, "2");
    }
}

#[test]
fn a_socket_whose_handler_fails_gets_1011_and_nothing_of_its_event() {
    within(async || {
        let storage = wsworker::storage::MemoryStorage::new();
        let configure = |server: Server| server.object::<Room>().storage(storage);
        let served = Served::start_with(Rooms, configure).await;
        let mut other = RawClient::open_at(served.addr, "/a").await;
        for (failing, why) in [
            ("put-panic k v", "Room.on_message: panicked: as asked"),
            ("put-all-fail k v", "Room.on_message: as asked"),
        ] {
            let mut ws = RawClient::open_at(served.addr, "/a").await;
            ws.send(Frame::text(failing)).await;
            let told = format!("error after 0: {why}");
            ws.expect_text(&told).await;
            assert_eq!(ws.expect_close(1011).await, "");
            ws.send(Frame::close(1011, "")).await;
            ws.expect_clean_eof().await;
            other.expect_text(&told).await;
            other.expect_text("left 1011 1").await;
        }
        other.send(Frame::text("get k")).await;
        other.expect_text("nothing").await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_event_fails_is_answered_500() {
    let server = rooms().await;
    let response = server.fetch("/a/put-all-fail+k+v").await.unwrap();
    assert_eq!(response.status(), 500);
    assert_eq!(get(&server, "/a/get+k").await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn a_socket_accepted_in_an_event_that_fails_never_was() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    let refused = server.connect("/a?tags=x,refused").await.unwrap_err();
    assert!(refused.to_string().contains("500"), "{refused}");
    assert_eq!(ask(&mut ws, "sockets").await, "1");
}

#[tokio::test(start_paused = true)]
async fn tags_and_attachments_are_what_they_were() {
    let server = rooms().await;
    let mut ws = server.connect("/a?tags=x").await.unwrap();
    let mut other = server.connect("/a?tags=y").await.unwrap();
    assert_eq!(ask(&mut ws, "attached").await, "x");
    // Fails in the other's name, but changes nothing of this one.
    fails(&mut other, "put-all-fail k v", "as asked").await;
    assert!(ws.text().await.unwrap().starts_with("error"));
    assert_eq!(ws.text().await.unwrap(), "left 1011 1");
    ws.send("tagged never no").unwrap();
    assert_eq!(ask(&mut ws, "attached").await, "x");
}

/// Of an event that fails, and of one whose commit does.
#[tokio::test(start_paused = true)]
async fn tags_and_attachments_of_a_socket_that_stays_are_undone() {
    let storage = Arc::new(FaultyStorage::new(MemoryStorage::new()));
    let (server, env) = serve::<Probe>(storage.clone()).await;
    let _ws = server.connect("/a").await.unwrap();
    let mark = |tag: &'static str, fails: bool| {
        event(&env, "a", move |probe| {
            Box::pin(async move {
                let ctx = &probe.ctx;
                let ws = ctx.sockets().iter().next().unwrap();
                for tag in ctx.tags(&ws)? {
                    ctx.remove_tag(&ws, &tag)?;
                }
                ctx.add_tag(&ws, tag)?;
                ctx.attach(&ws, tag)?;
                ctx.storage().put("marked", tag)?;
                match fails {
                    true => Err(Error::new("as asked")),
                    false => Ok(()),
                }
            })
        })
    };
    let marks = || {
        event(&env, "a", |probe| {
            Box::pin(async {
                let ws = probe.ctx.sockets().iter().next().unwrap();
                let attached: Option<String> = probe.ctx.attachment(&ws)?;
                let counts = ["first", "second"].map(|tag| probe.ctx.sockets().tagged(tag).len());
                Ok((probe.ctx.tags(&ws)?, attached, counts))
            })
        })
    };
    mark("first", false).await.unwrap();
    let first = (vec!["first".to_owned()], Some("first".to_owned()), [1, 0]);
    assert_eq!(marks().await.unwrap(), first);
    mark("second", true).await.unwrap_err();
    assert_eq!(marks().await.unwrap(), first);
    storage.fail(1, Fault::Before);
    assert!(mark("second", false).await.unwrap_err().is_undone());
    assert_eq!(marks().await.unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_undoes_all_that_built_on_it() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut reader = server.connect("/a").await.unwrap();
    let mut ws = server.connect("/a").await.unwrap();
    let mut later = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(Duration::from_millis(50)).await.unwrap();
    later.send("incr").unwrap();
    later.quiet_for(Duration::from_millis(50)).await.unwrap();
    storage.fail(true);
    storage.let_go(1);
    for ws in [&mut ws, &mut later] {
        let mut told = ws.text().await.unwrap();
        while told.starts_with("left") || told.starts_with("error") {
            match ws.event().await.unwrap() {
                wsworker::Event::Message(message) => {
                    told = message.as_text().unwrap().to_owned();
                }
                wsworker::Event::Close(close) => {
                    assert_eq!(close.code, 1011);
                    told.clear();
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told, "", "an answer that was undone");
    }
    storage.fail(false);
    storage.let_go(100);
    reader.send("get count").unwrap();
    let mut told = reader.text().await.unwrap();
    while told.starts_with("left") || told.starts_with("error") {
        told = reader.text().await.unwrap();
    }
    assert_eq!(told, "nothing");
    assert_eq!(get(&server, "/a/incr").await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_commit_fails_is_answered_500() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    assert_eq!(get(&server, "/a/incr").await, "1");
    storage.fail(true);
    assert_eq!(server.fetch("/a/incr").await.unwrap().status(), 500);
    storage.fail(false);
    assert_eq!(get(&server, "/a/incr").await, "2");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_takes_too_long_is_undone() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(60));
    fails(&mut ws, "sleep 31000", "longer than 30s").await;
    assert_eq!(get(&server, "/a/incr").await, "1");
}

#[tokio::test(start_paused = true)]
async fn what_a_cancelled_event_drops_is_part_of_it() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(60));
    // Its drop sends, and panics.
    fails(&mut ws, "put-drop-panic k v", "longer than 30s").await;
    assert_eq!(get(&server, "/a/get+k").await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_built_fails_its_events_until_it_can() {
    let storage = wsworker::storage::MemoryStorage::new();
    let server = rooms_on(storage).await;
    let mut ws = server.connect("/a").await.unwrap();
    // A value of another type than the one that `new` reads.
    ws.send("put broken yes").unwrap();
    ws.send("put-panic k v").unwrap();
    assert_eq!(ws.closed().await.unwrap().code, 1011);
    assert_eq!(server.fetch("/a/incr").await.unwrap().status(), 500);
    assert_eq!(get(&server, "/b/incr").await, "1");
}

/// What a socket that does not take part hears of failures, until nothing more comes.
async fn heard(reader: &mut TestSocket) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(text) = reader.text().await {
        heard.push(text);
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn after_a_commit_that_fails_its_socket_is_heard_no_more() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let mut other = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(Duration::from_millis(50)).await.unwrap();
    // Has the turn while the commit fails.
    other.send("sleep 200").unwrap();
    other.quiet_for(Duration::from_millis(50)).await.unwrap();
    storage.fail(true);
    storage.let_go(100);
    other.quiet_for(Duration::from_millis(50)).await.unwrap();
    // Sent before it could know.
    ws.send("heard").unwrap();
    let told = ws.text().await.unwrap();
    assert!(told.starts_with("error after 0: "), "{told}");
    loop {
        match ws.event().await.unwrap() {
            wsworker::Event::Close(close) => break assert_eq!(close.code, 1011),
            wsworker::Event::Message(told) => {
                let told = told.as_text().unwrap().to_owned();
                assert!(
                    told.starts_with("error") || told.starts_with("left"),
                    "{told}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_told_once_however_many_of_its_events_are_undone() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut reader = server.connect("/a").await.unwrap();
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.send("incr").unwrap();
    ws.send("sleep 200").unwrap();
    reader.quiet_for(Duration::from_millis(50)).await.unwrap();
    storage.fail(true);
    storage.let_go(100);
    let heard = heard(&mut reader).await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("error after 0: "), "{heard:?}");
    assert_eq!(heard[1], "left 1011 1");
    assert_eq!(ws.text().await.unwrap(), heard[0]);
    assert_eq!(ws.closed().await.unwrap().code, 1011);
}
