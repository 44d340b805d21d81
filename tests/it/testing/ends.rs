//! How a server under test ends, and that nothing stays.

use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use wsworker::prelude::*;
use wsworker::testing::{TestServer, Via};

use super::{House, both};
use crate::server::eventually;

#[test]
fn a_drain_closes_with_1001_and_returns_when_on_close_has_run() {
    both(async |via| {
        let house = House::default();
        let server = TestServer::start(house.clone(), via).await?;
        let mut sockets = Vec::new();
        for _ in 0..3 {
            sockets.push(server.connect("/ws").await?);
        }
        let begun = std::time::Instant::now();
        server.shutdown().await?;
        let closes = house.heard();
        let closes = closes.iter().filter(|what| what.starts_with("close 1001"));
        assert_eq!(closes.count(), 3);
        for ws in &mut sockets {
            assert_eq!(ws.closed().await?.code, 1001);
        }
        // Nobody had to ask for the close before.
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        Ok(())
    });
}

#[test]
fn a_drain_can_begin_while_the_test_goes_on() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        server.handle().shutdown();
        assert_eq!(ws.closed().await?.code, 1001);
        eventually("it accepts no more", || server.connections() == 0).await;
        assert!(server.fetch("/").await.unwrap_err().is_fetch());
        server.shutdown().await
    });
}

#[test]
fn a_connection_that_is_cut_is_1006_on_both_sides() {
    both(async |via| {
        let house = House::default();
        let server = TestServer::start(house.clone(), via).await?;
        let mut ws = server.connect("/ws").await?;
        ws.cut();
        assert_eq!(ws.closed().await?.code, 1006);
        eventually("on_close ran", || house.heard().len() == 2).await;
        assert_eq!(house.heard()[1], "close 1006 ");
        server.shutdown().await
    });
}

#[test]
fn a_dropped_server_leaves_no_task() {
    both(async |via| {
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        server.fetch("/").await?.text().await?;
        drop(server);
        assert_eq!(ws.closed().await?.code, 1001);
        drop(ws);
        eventually("no task is left", || tasks() == before).await;

        let server = TestServer::start(House::default(), via).await?;
        let mut stalled = server.connect("/ws").await?;
        stalled.stall();
        drop((server, stalled));
        if via == Via::Memory {
            // By the deadlines.
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(tasks(), before);
        }
        Ok(())
    });
}

#[test]
fn a_server_may_outlive_its_runtime() {
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    for via in [Via::Memory, Via::Tcp] {
        let runtime = runtime();
        let house = House::default();
        let (server, ws) = runtime.block_on(async {
            let server = TestServer::start(house.clone(), via).await.unwrap();
            let ws = server.connect("/ws").await.unwrap();
            (server, ws)
        });
        drop(runtime);
        assert_eq!(server.connections(), 0);
        assert!(ws.send("x").unwrap_err().is_closed());
        drop((server, ws));
    }
}

#[test]
fn a_runtime_of_several_threads_serves_too() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let talk = async |via| -> Result<()> {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        for n in 0..100 {
            ws.send(n.to_string())?;
            assert_eq!(ws.text().await?, n.to_string());
        }
        assert_eq!(server.fetch("/").await?.status(), 200);
        server.shutdown().await
    };
    for via in [Via::Memory, Via::Tcp] {
        runtime.block_on(talk(via)).unwrap();
    }
}

#[test]
fn memory_needs_no_network() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    runtime
        .block_on(async {
            let server = TestServer::start(House::default(), Via::Memory).await?;
            assert_eq!(server.local_addr(), None);
            assert_eq!(server.fetch("/").await?.status(), 200);
            server.shutdown().await
        })
        .unwrap();
}

#[test]
fn other_clients_find_it_over_tcp() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        if let Some(addr) = server.local_addr() {
            let page = wsworker::fetch(format!("http://{addr}/")).await?;
            assert_eq!(page.status(), 200);
        }
        assert_eq!(server.local_addr().is_some(), via == Via::Tcp);
        server.shutdown().await
    });
}
