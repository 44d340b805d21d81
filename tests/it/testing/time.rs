//! Deadlines under a paused clock, and none where there is no reason for one.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wsworker::prelude::*;
use wsworker::testing::TestServer;

use super::{House, both, in_memory};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[test]
fn a_stalled_client_is_gone_after_two_minutes() {
    in_memory(async |via| {
        let real = std::time::Instant::now();
        let house = House::default();
        let server = TestServer::start(house.clone(), via).await?;
        let mut ws = server.connect("/ws").await?;
        let mut other = server.connect("/ws").await?;
        ws.stall();
        sleep(Duration::from_secs(119)).await;
        assert_eq!(server.connections(), 2);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(server.connections(), 1);
        assert_eq!(house.heard().last().unwrap(), "close 1006 ");
        ws.resume();
        assert_eq!(ws.closed().await?.code, 1006);
        // A client that answers pings stays.
        sleep(HOUR / 4).await;
        other.send("still here")?;
        assert_eq!(other.text().await?, "still here");
        server.shutdown().await?;
        assert!(
            real.elapsed() < Duration::from_secs(10),
            "{:?}",
            real.elapsed()
        );
        Ok(())
    });
}

#[test]
fn a_client_that_does_not_answer_a_close_is_dropped_after_five_seconds() {
    in_memory(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        ws.send("kick later")?;
        sleep(Duration::from_millis(100)).await;
        ws.stall();
        sleep(Duration::from_millis(200)).await;
        let begun = Instant::now();
        while server.connections() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((4.9..5.2).contains(&took), "{took}");
        Ok(())
    });
}

#[test]
fn a_drain_ends_at_its_deadline() {
    in_memory(async |via| {
        let patient = Server::new(House::default())
            .close_timeout(HOUR)
            .drain_timeout(HOUR / 2);
        let house = TestServer::start(patient, via).await?;
        let mut ws = house.connect("/ws").await?;
        ws.stall();
        let begun = Instant::now();
        house.shutdown().await?;
        let took = begun.elapsed();
        assert!(took >= HOUR / 2, "{took:?}");
        assert!(took <= HOUR / 2 + Duration::from_secs(1), "{took:?}");
        Ok(())
    });
}

#[test]
fn no_time_passes_while_messages_are_on_their_way() {
    in_memory(async |via| {
        let hasty = Server::new(House::default())
            .idle_timeout(Duration::from_millis(200))
            .frame_timeout(Duration::from_millis(50))
            .handshake_timeout(Duration::from_millis(50))
            .close_timeout(Duration::from_millis(50));
        let server = TestServer::start(hasty, via).await?;
        let begun = Instant::now();
        let large = Message::from("x".repeat(900_000));
        let mut ws = server.connect("/ws").await?;
        for _ in 0..20 {
            ws.send(large.clone())?;
            assert_eq!(ws.message().await?, large);
            assert_eq!(server.fetch("/").await?.text().await?.len(), 16);
        }
        ws.close()?;
        assert_eq!(ws.closed().await?.code, 1005);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        server.shutdown().await
    });
}

#[test]
fn a_callback_that_sleeps_is_waited_for() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        let begun = Instant::now();
        ws.send("wait")?;
        assert_eq!(ws.text().await?, "waited");
        assert!(begun.elapsed() >= Duration::from_millis(300));
        server.shutdown().await
    });
}

#[test]
fn a_test_may_advance_the_clock_itself() {
    in_memory(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut ws = server.connect("/ws").await?;
        ws.stall();
        sleep(Duration::from_millis(100)).await;
        tokio::time::advance(Duration::from_secs(300)).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.connections(), 0);
        Ok(())
    });
}
