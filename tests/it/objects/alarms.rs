//! Alarms: at their time, at least once, and tried again.

use std::time::Duration;

use super::storage::Scripted;
use super::*;

#[tokio::test(start_paused = true)]
async fn an_alarm_comes_at_its_time_and_is_gone() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("alarm 30000").unwrap();
    ws.quiet_for(Duration::from_millis(29_800)).await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
    ws.quiet_for(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_deleted_does_not_come() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("alarm 1000").unwrap();
    ws.send("no-alarm").unwrap();
    ws.quiet_for(Duration::from_secs(5)).await.unwrap();
    ws.send("alarm 1000").unwrap();
    ws.send("alarm 3000").unwrap();
    ws.quiet_for(Duration::from_millis(2500)).await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_may_set_the_next() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("number repeat 3").unwrap();
    ws.send("alarm 10").unwrap();
    for _ in 0..4 {
        assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
    }
    ws.quiet_for(Duration::from_secs(90)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_fails_is_undone_and_tried_again() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("number failing 3").unwrap();
    ws.send("alarm 10").unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 3 false");
    assert_eq!(ask(&mut ws, "get lost").await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_always_fails_is_dropped_after_six_retries() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("number failing 100").unwrap();
    ws.send("alarm 10").unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    ws.send("number failing 0").unwrap();
    ws.quiet_for(Duration::from_secs(600)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alarm_whose_failure_cannot_be_stored_waits_before_it_is_tried_again() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    ws.send("alarm 1000").unwrap();
    ws.quiet_for(Duration::from_millis(500)).await.unwrap();
    let before = storage.commits();
    storage.fail(true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Each 2 s its own commit, and the one that would put it off.
    let commits = storage.commits() - before;
    assert!((50..=62).contains(&commits), "{commits}");
    storage.fail(false);
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
}

#[tokio::test(start_paused = true)]
async fn thousands_of_alarms_all_come() {
    let server = rooms().await;
    for n in 0..3000 {
        get(&server, &format!("/{n}/alarm+{}", 1000 + n % 100)).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    for n in 0..3000 {
        assert_eq!(get(&server, &format!("/{n}/alarms")).await, "1");
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_whose_commits_fail_waits_before_the_next_try_and_comes_at_last() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(60));
    ws.send("alarm 1000").unwrap();
    ws.quiet_for(Duration::from_millis(500)).await.unwrap();
    storage.fail(true);
    let before = storage.commits();
    ws.quiet_for(Duration::from_secs(10)).await.unwrap();
    let tried = storage.commits() - before;
    // Each time the alarm's own, and the one that would have set it anew.
    assert!((4..=12).contains(&tried), "{tried} commits in ten seconds");
    storage.fail(false);
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
    assert_eq!(get(&server, "/a/alarms").await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_at_a_time_comes_by_the_clock_that_the_object_reads() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.patience(Duration::from_secs(100));
    // The clock of a test is ahead of the system's by now.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    ws.send("alarm-at 60000").unwrap();
    ws.quiet_for(Duration::from_secs(59)).await.unwrap();
    assert_eq!(ws.text().await.unwrap(), "alarm 0 false");
}
