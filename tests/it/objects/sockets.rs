//! The sockets of an object: lists, tags, attachments, broadcasts.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_whom_it_is_for() {
    let server = rooms().await;
    let mut a = server.connect("/a?tags=red,big").await.unwrap();
    let mut b = server.connect("/a?tags=red").await.unwrap();
    let mut c = server.connect("/a").await.unwrap();
    let mut elsewhere = server.connect("/b").await.unwrap();
    a.send("all everyone").unwrap();
    for ws in [&mut a, &mut b, &mut c] {
        assert_eq!(ws.text().await.unwrap(), "everyone");
    }
    a.send("others not-me").unwrap();
    assert_eq!(b.text().await.unwrap(), "not-me");
    assert_eq!(c.text().await.unwrap(), "not-me");
    c.send("tagged red hot").unwrap();
    assert_eq!(a.text().await.unwrap(), "hot");
    assert_eq!(b.text().await.unwrap(), "hot");
    assert_eq!(ask(&mut c, "sockets").await, "3");
    assert_eq!(ask(&mut elsewhere, "sockets").await, "1");
}

#[tokio::test(start_paused = true)]
async fn tags_come_and_go() {
    let server = rooms().await;
    let mut ws = server.connect("/a?tags=red").await.unwrap();
    ws.send("tag blue").unwrap();
    ws.send("tag blue").unwrap();
    assert_eq!(ask(&mut ws, "tagged blue 1").await, "1");
    ws.send("untag red").unwrap();
    ws.send("tagged red 2").unwrap();
    assert_eq!(ask(&mut ws, "tagged blue 3").await, "3");
}

#[tokio::test(start_paused = true)]
async fn too_many_or_too_long_tags_are_refused() {
    let server = rooms().await;
    let many = (0..11).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(server.connect(&*format!("/a?tags={many}")).await.is_err());
    let long = "x".repeat(257);
    assert!(server.connect(&*format!("/a?tags={long}")).await.is_err());
    let just = vec!["x".repeat(256); 1].join(",");
    assert!(server.connect(&*format!("/a?tags={just}")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_closed_socket_is_in_no_list_and_heard_of_once() {
    let server = rooms().await;
    let mut stays = server.connect("/a").await.unwrap();
    let mut leaves = server.connect("/a").await.unwrap();
    leaves.close_with(4001, "bye").unwrap();
    assert_eq!(leaves.closed().await.unwrap().code, 4001);
    assert_eq!(stays.text().await.unwrap(), "left 4001 1");
    assert_eq!(ask(&mut stays, "sockets").await, "1");
}

#[tokio::test(start_paused = true)]
async fn on_open_is_an_event_after_the_101() {
    let server = rooms().await;
    let mut ws = server.connect("/a/greeted").await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn an_object_closes_its_sockets() {
    let server = rooms().await;
    let mut a = server.connect("/a").await.unwrap();
    let mut b = server.connect("/a").await.unwrap();
    a.send("close-all").unwrap();
    assert_eq!(b.closed().await.unwrap().code, 4000);
    assert_eq!(a.closed().await.unwrap().code, 4000);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_join_at_once_and_the_object_hibernates_after_it() {
    let server = Arc::new(rooms().await);
    let mut first = server.connect("/a").await.unwrap();
    let mut joining = JoinSet::new();
    for _ in 0..10_000 {
        let server = server.clone();
        joining.spawn(async move { server.connect("/a").await.unwrap() });
    }
    let mut sockets = joining.join_all().await;
    assert_eq!(ask(&mut first, "sockets").await, "10001");
    first.send("others hi").unwrap();
    for ws in &mut sockets {
        assert_eq!(ws.text().await.unwrap(), "hi");
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(
        ask(&mut first, "heard").await,
        "1",
        "the value is a new one"
    );
    assert_eq!(ask(&mut first, "sockets").await, "10001");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_a_client_within_the_process_too() {
    let server = rooms().await;
    let mut ws = server.connect("/a?tags=outer").await.unwrap();
    ws.send("pair").unwrap();
    for n in 0..5 {
        // Unmasked, it would end the inner one with 1002.
        assert_eq!(ask(&mut ws, &format!("all {n}")).await, n.to_string());
        assert_eq!(ws.text().await.unwrap(), format!("heard-{n}"));
    }
    assert_eq!(ask(&mut ws, "sockets").await, "2");
}
