//! Calls from object to object, and from workers.

use std::time::Duration;

use wsworker::storage::MemoryStorage;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_object_asks_another() {
    let server = rooms().await;
    get(&server, "/b/put+k+v").await;
    let mut ws = server.connect("/a").await.unwrap();
    assert_eq!(ask(&mut ws, "ask b get_k").await, "v");
}

#[tokio::test(start_paused = true)]
async fn a_cycle_of_one_chain_fails_at_once_and_is_shown() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("ask b ask_a_heard").unwrap();
    let told = ws.text().await.unwrap();
    assert!(told.starts_with("error after 0"), "{told}");
    ws.closed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_objects_that_call_each_other_do_not_hang() {
    let server = rooms().await;
    let a = server.connect("/a").await.unwrap();
    let b = server.connect("/b").await.unwrap();
    a.send("ask b sleep_10").unwrap();
    b.send("ask a sleep_10").unwrap();
    let start = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(get(&server, "/a/incr").await, "1");
    assert_eq!(get(&server, "/b/incr").await, "1");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_cancel_what_has_begun() {
    let server = rooms().await;
    let asked = tokio::time::timeout(Duration::from_millis(2), get(&server, "/a/slow-incr"));
    assert!(asked.await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(get(&server, "/a/incr").await, "2");
}

#[tokio::test(start_paused = true)]
async fn too_many_waiting_calls_are_refused_with_503() {
    let server = std::sync::Arc::new(rooms().await);
    let ws = server.connect("/a").await.unwrap();
    ws.send("sleep 5000").unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let calls: Vec<_> = (0..1100)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { server.fetch("/a/incr").await.unwrap().status().as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.unwrap());
    }
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1024);
    assert_eq!(statuses.iter().filter(|s| **s == 503).count(), 76);
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_not_registered_is_named() {
    let server = TestServer::start(Rooms, Via::Memory).await.unwrap();
    assert_eq!(server.fetch("/a/incr").await.unwrap().status(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_class_that_is_not_registered_is_told_how_by_its_type() {
    /// Its class and its type have two names.
    #[durable_object(name = "absent")]
    struct Missing;

    impl DurableObject for Missing {
        async fn new(_: ObjectContext, _: Env) -> Result<Self> {
            Ok(Self)
        }
    }

    let (_server, env) = super::probe::serve::<super::probe::Probe>(MemoryStorage::new()).await;
    let missing = env.durable_object::<Missing>().get_by_name("a");
    assert_eq!(
        missing.fetch("/").await.unwrap_err().to_string(),
        "the class 'absent' of Durable Objects is not registered: write \
         #[worker(objects(Missing))], or call Server::object::<Missing>()"
    );
}
