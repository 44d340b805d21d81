//! Pages, and what is refused.

use wsworker::prelude::*;
use wsworker::testing::TestServer;

use super::{House, Order, both};

#[test]
fn pages_are_fetched_by_their_path() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let mut page = server.fetch("/").await?;
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.text().await?, "<h1>a house</h1>");
        assert_eq!(server.fetch("/nowhere").await?.status(), 404);
        assert_eq!(server.fetch("/fail").await?.status(), 500);
        server.shutdown().await
    });
}

#[test]
fn json_goes_both_ways() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let order = Request::post("/order").json(&Order { tea: 1 });
        let order: Order = server.fetch(order).await?.json().await?;
        assert_eq!(order, Order { tea: 2 });
        let bad = Request::post("/order").body("no JSON");
        assert_eq!(server.fetch(bad).await?.status(), 400);
        let large = Request::post("/order").body(vec![b' '; (1 << 20) + 1]);
        assert_eq!(server.fetch(large).await?.status(), 413);
        server.shutdown().await
    });
}

#[test]
fn every_host_is_the_server_and_the_client_is_on_this_machine() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let text = async |url| server.fetch(url).await?.text().await;
        assert_eq!(text("/url?x=1").await?, "http://worker.test/url?x=1");
        assert_eq!(text("http://a.example/url").await?, "http://a.example/url");
        let from = text("/from").await?;
        assert!(from.starts_with("Some(127.0.0.1:"), "{from}");
        let refused = server.fetch("https://worker.test/").await.unwrap_err();
        assert!(refused.to_string().contains("TLS"), "{refused}");
        assert!(server.fetch("no path").await.unwrap_err().is_invalid());
        server.shutdown().await
    });
}

#[test]
fn a_redirect_is_given_back() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        let away = server.fetch("/away").await?;
        assert_eq!(away.status(), 302);
        assert_eq!(away.headers()["location"], "http://worker.test/");
        server.shutdown().await
    });
}

#[test]
fn a_server_with_settings_is_served_too_but_for_its_addresses() {
    both(async |via| {
        let taken = Server::new(House::default()).bind("192.0.2.1:1");
        let server = TestServer::start(taken.var("COLOUR", "green"), via).await?;
        let mut colour = server.fetch("/var").await?;
        assert_eq!(colour.text().await?, "green");
        server.shutdown().await?;
        let wrong = Server::new(House::default()).max_message(0);
        let error = TestServer::start(wrong, via).await.unwrap_err();
        assert!(error.is_config(), "{error}");
        Ok(())
    });
}

#[test]
fn a_refused_upgrade_is_its_status() {
    both(async |via| {
        let server = TestServer::start(House::default(), via).await?;
        assert_eq!(server.fetch("/ws").await?.status(), 426);
        let foreign = || Request::get("/ws").header("origin", "https://foe.example");
        let upgrade = foreign().header("upgrade", "websocket");
        assert_eq!(server.fetch(upgrade).await?.status(), 403);
        let error = server.connect(foreign()).await.unwrap_err();
        assert!(
            error.is_handshake() && error.to_string().contains("403"),
            "{error}"
        );
        for origin in ["https://friend.example", "http://worker.test"] {
            server
                .connect(Request::get("/ws").header("origin", origin))
                .await?;
        }
        let page = server.connect("/").await.unwrap_err().to_string();
        assert!(
            page.contains("didn't accept WebSocket") && page.contains("200"),
            "{page}"
        );
        server.shutdown().await
    });
}

#[test]
fn a_full_server_refuses() {
    both(async |via| {
        let small = Server::new(House::default()).max_connections(1);
        let server = TestServer::start(small, via).await?;
        let ws = server.connect("/ws").await?;
        assert_eq!(server.connections(), 1);
        // It may be told so before it has asked.
        match server.fetch("/").await {
            Ok(told) => assert_eq!(told.status(), 503),
            Err(error) => assert!(error.is_fetch(), "{error}"),
        }
        drop(ws);
        server.shutdown().await
    });
}
