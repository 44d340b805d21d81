//! Events: one at a time, in order, and visible when they are durable.

use std::time::Duration;

use super::storage::Scripted;
use super::*;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn what_an_event_wrote_is_there_for_the_next() {
    let server = rooms().await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("put k v").unwrap();
    assert_eq!(ask(&mut ws, "get k").await, "v");
    ws.send("delete k").unwrap();
    assert_eq!(ask(&mut ws, "get k").await, "nothing");
    assert_eq!(get(&server, "/b/get+k").await, "nothing");
}

#[tokio::test(start_paused = true)]
async fn a_list_shows_what_is_not_durable_yet() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    for put in ["put a 1", "put b 2", "put c 3", "put d 4"] {
        ws.send(put).unwrap();
    }
    assert_eq!(ask(&mut ws, "list").await, "a=1,b=2,c=3,d=4");
    for change in ["delete b", "put c 5", "put e 6"] {
        ws.send(change).unwrap();
    }
    assert_eq!(ask(&mut ws, "list").await, "a=1,c=5,d=4,e=6");
    ws.send("clear").unwrap();
    ws.send("put z 1").unwrap();
    assert_eq!(ask(&mut ws, "list").await, "z=1");
}

#[tokio::test(start_paused = true)]
async fn a_message_leaves_only_when_its_write_is_durable() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    assert_eq!(storage.commits(), 1);
    storage.let_go(1);
    assert_eq!(ws.text().await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_wrote_nothing_waits_for_nothing() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    assert_eq!(ask(&mut ws, "get k").await, "nothing");
    assert_eq!(storage.commits(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_wrote_nothing_does_not_overtake_an_earlier_commit() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    let mut other = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    other.send("get k").unwrap();
    other.quiet_for(SHORT).await.unwrap();
    storage.let_go(1);
    assert_eq!(other.text().await.unwrap(), "nothing");
    assert_eq!(ws.text().await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn events_run_while_a_commit_is_under_way_and_share_the_next() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    for _ in 0..10 {
        ws.send("incr").unwrap();
    }
    ws.quiet_for(SHORT).await.unwrap();
    assert_eq!(storage.commits(), 1);
    storage.let_go(1);
    assert_eq!(ws.text().await.unwrap(), "1");
    ws.quiet_for(SHORT).await.unwrap();
    assert_eq!(storage.commits(), 2);
    storage.let_go(1);
    for count in 2..=10 {
        assert_eq!(ws.text().await.unwrap(), count.to_string());
    }
    assert_eq!(storage.commits(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_holds_up_the_others() {
    let server = rooms().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(server.connect("/a").await.unwrap());
    }
    for ws in &mut sockets {
        ws.send("slow-incr").unwrap();
    }
    let mut counts = Vec::new();
    for ws in &mut sockets {
        counts.push(ws.text().await.unwrap().parse::<u32>().unwrap());
    }
    counts.sort_unstable();
    assert_eq!(counts, Vec::from_iter(1..=20));
}

#[tokio::test]
async fn events_on_many_threads_are_one_at_a_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let all = runtime.spawn(async {
        let server = std::sync::Arc::new(rooms().await);
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move {
                    let mut ws = server.connect("/a").await.unwrap();
                    let mut counts = Vec::new();
                    for _ in 0..50 {
                        ws.send("incr").unwrap();
                    }
                    for _ in 0..50 {
                        counts.push(ws.text().await.unwrap().parse::<u32>().unwrap());
                    }
                    assert!(counts.is_sorted());
                    // Leaves only later: the others would hear of it.
                    (ws, counts)
                })
            })
            .collect();
        let mut counts = Vec::new();
        let mut sockets = Vec::new();
        for client in clients {
            let (ws, counted) = client.await.unwrap();
            sockets.push(ws);
            counts.extend(counted);
        }
        counts.sort_unstable();
        assert_eq!(counts, Vec::from_iter(1..=800));
    });
    all.await.unwrap();
    runtime.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_key_is_read_once() {
    let storage = Scripted::open();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    assert_eq!(ask(&mut ws, "incr").await, "1");
    let reads = storage.reads();
    assert_eq!(ask(&mut ws, "incr").await, "2");
    assert_eq!(ask(&mut ws, "get nothing").await, "nothing");
    assert_eq!(ask(&mut ws, "get nothing").await, "nothing");
    assert_eq!(storage.reads(), reads + 1);
}

#[tokio::test(start_paused = true)]
async fn a_response_leaves_when_it_is_durable() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let asked = get(&server, "/a/incr");
    tokio::pin!(asked);
    let early = tokio::time::timeout(SHORT, &mut asked).await;
    assert!(early.is_err());
    storage.let_go(1);
    assert_eq!(asked.await, "1");
}

#[tokio::test(start_paused = true)]
async fn background_work_starts_after_the_commit() {
    let storage = Scripted::held();
    let server = rooms_on(storage.clone()).await;
    let mut ws = server.connect("/a").await.unwrap();
    ws.send("incr").unwrap();
    ws.send("later done").unwrap();
    ws.quiet_for(SHORT).await.unwrap();
    storage.let_go(1);
    assert_eq!(ws.text().await.unwrap(), "1");
    assert_eq!(ws.text().await.unwrap(), "done");
}

#[tokio::test]
async fn a_backup_of_a_server_that_runs_is_what_another_starts_with() {
    let (data, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = async |data: &std::path::Path| {
        let server = Server::new(Rooms).object::<Room>().data(data);
        TestServer::start(server, Via::Memory).await.unwrap()
    };
    let server = start(data.path()).await;
    assert_eq!(get(&server, "/a/incr").await, "1");
    assert_eq!(get(&server, "/b/incr").await, "1");
    let file = copy.path().join("objects.db");
    server.handle().backup(&file).await.unwrap();
    assert_eq!(get(&server, "/a/incr").await, "2");
    let again = server.handle().backup(&file).await.unwrap_err();
    assert!(again.to_string().contains("it is there already"), "{again}");
    let other = start(copy.path()).await;
    assert_eq!(get(&other, "/a/incr").await, "2");
    assert_eq!(get(&other, "/b/incr").await, "2");
}

#[tokio::test]
async fn a_storage_without_backups_says_so() {
    let error = rooms().await.handle().backup("nowhere").await.unwrap_err();
    assert!(error.to_string().contains("cannot be backed up"), "{error}");
}
