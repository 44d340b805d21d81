//! Messages that are answered without the object.

use std::time::Duration;

use wsworker::storage::MemoryStorage;

use super::probe::{Probe, event, serve};
use super::*;

#[tokio::test(start_paused = true)]
async fn an_auto_response_needs_no_event() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("auto").unwrap();
    assert_eq!(ask(&mut ws, "heard").await, "2");
    assert_eq!(ask(&mut ws, "ping").await, "pong");
    assert_eq!(ask(&mut ws, "heard").await, "3");
}

#[tokio::test(start_paused = true)]
async fn an_auto_response_does_not_wait_for_the_objects_turn() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    let mut other = server.connect("/a").await.unwrap();
    ws.send("auto").unwrap();
    assert_eq!(ask(&mut ws, "heard").await, "2");
    other.send("sleep 20000").unwrap();
    other.send("heard").unwrap();
    other.quiet_for(Duration::from_millis(100)).await.unwrap();
    let pong = tokio::time::timeout(Duration::from_secs(1), ask(&mut ws, "ping"));
    assert_eq!(pong.await.unwrap(), "pong");
    other.patience(Duration::from_secs(60));
    assert_eq!(other.text().await.unwrap(), "4");
}

#[tokio::test(start_paused = true)]
async fn an_auto_response_wakes_nobody() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("auto").unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(ask(&mut ws, "ping").await, "pong");
    }
    assert_eq!(ask(&mut ws, "heard").await, "1");
    assert_eq!(ask(&mut ws, "ping").await, "pong");
}

#[tokio::test(start_paused = true)]
async fn an_auto_response_leaves_its_time() {
    let (server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let mut ws = server.connect("/a").await.unwrap();
    async fn time(env: &Env) -> Option<std::time::SystemTime> {
        let time = event(env, "a", |probe| {
            Box::pin(async {
                probe.ctx.set_auto_response("ping", "pong");
                let ws = probe.ctx.sockets().iter().next().unwrap();
                probe.ctx.auto_response_timestamp(&ws)
            })
        });
        time.await.unwrap()
    }
    assert_eq!(time(&env).await, None);
    let before = std::time::SystemTime::now() - Duration::from_secs(1);
    assert_eq!(ask(&mut ws, "ping").await, "pong");
    assert!(time(&env).await.unwrap() > before);
}

#[tokio::test(start_paused = true)]
async fn an_auto_response_is_known_changed_and_ended() {
    let (server, env) = serve::<Probe>(MemoryStorage::new()).await;
    let mut ws = server.connect("/a").await.unwrap();
    async fn set(env: &Env, answer: Option<&'static str>) -> Option<(Message, Message)> {
        let set = event(env, "a", move |probe| {
            Box::pin(async move {
                let before = probe.ctx.auto_response();
                match answer {
                    Some(answer) => probe.ctx.set_auto_response("say hi", answer),
                    None => probe.ctx.clear_auto_response(),
                }
                Ok(before)
            })
        });
        set.await.unwrap()
    }
    let pair = |answer: &str| Some((Message::from("say hi"), Message::from(answer)));
    assert_eq!(ask(&mut ws, "say hi").await, "hi");
    assert_eq!(set(&env, Some("one")).await, None);
    assert_eq!(ask(&mut ws, "say hi").await, "one");
    assert_eq!(set(&env, Some("two")).await, pair("one"));
    assert_eq!(ask(&mut ws, "say hi").await, "two");
    assert_eq!(ask(&mut ws, "say ho").await, "ho");
    assert_eq!(set(&env, None).await, pair("two"));
    assert_eq!(ask(&mut ws, "say hi").await, "hi");
    assert_eq!(set(&env, None).await, None);
}
