//! Which origins a browser may connect from.
//! Does not treat who may: that is a worker's business.

use wsworker::prelude::*;

use crate::raw::{Head, RawClient};
use crate::server::{Recorded, within};

async fn from_origin(
    origin: &str,
    host: Option<&str>,
    configure: impl FnOnce(Server) -> Server,
) -> crate::raw::Response {
    let server = Recorded::start_with(configure).await;
    let mut client = RawClient::connect(server.addr).await;
    let mut head = client.upgrade().with("Origin", origin);
    if let Some(host) = host {
        head = head.replace("Host", host);
    }
    client.send_raw(head.encode()).await;
    client.read_response().await
}

#[test]
fn a_foreign_origin_is_403_and_told_where_to_list_it() {
    within(async || {
        let answer = from_origin("https://evil.example", None, |s| s).await;
        assert_eq!(answer.status, 403);
        let text = answer.text();
        assert!(text.contains("https://evil.example"), "{text}");
        assert!(text.contains("origins"), "{text}");
    });
}

#[test]
fn an_opaque_origin_is_403() {
    within(async || {
        assert_eq!(from_origin("null", None, |s| s).await.status, 403);
    });
}

#[test]
fn the_origin_of_the_same_host_passes_with_any_scheme() {
    within(async || {
        for (origin, host) in [
            ("http://chat.example:8787", "chat.example:8787"),
            ("https://chat.example:8787", "chat.example:8787"),
            ("https://chat.example", "chat.example"),
            ("http://CHAT.example", "chat.EXAMPLE"),
            ("https://[::1]:8787", "[::1]:8787"),
        ] {
            let answer = from_origin(origin, Some(host), |s| s).await;
            assert_eq!(answer.status, 101, "{origin} to {host}");
        }
    });
}

#[test]
fn another_port_or_part_of_the_name_is_another_origin() {
    within(async || {
        for (origin, host) in [
            ("http://chat.example:8788", "chat.example:8787"),
            ("http://chat.example", "chat.example:8787"),
            ("https://chat.example.evil.example", "chat.example"),
            ("https://evil-chat.example", "chat.example"),
            ("https://sub.chat.example", "chat.example"),
            ("https://chat.example@evil.example", "chat.example"),
        ] {
            let answer = from_origin(origin, Some(host), |s| s).await;
            assert_eq!(answer.status, 403, "{origin} to {host}");
        }
    });
}

#[test]
fn two_origins_do_not_pass() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let ours = format!("http://{}", client.host());
        let head = client.upgrade().with("Origin", &ours);
        let head = head.with("Origin", "https://evil.example");
        client.send_raw(head.encode()).await;
        let status = client.read_response().await.status;
        assert!(matches!(status, 400 | 403), "{status}");
    });
}

#[test]
fn a_listed_origin_passes_and_others_do_not() {
    within(async || {
        let listed = |s: Server| s.origins(["https://app.example"]);
        let answer = from_origin("https://app.example", None, listed).await;
        assert_eq!(answer.status, 101);
        // What is listed is listed with its scheme.
        let answer = from_origin("http://app.example", None, listed).await;
        assert_eq!(answer.status, 403);
        let answer = from_origin("https://other.example", None, listed).await;
        assert_eq!(answer.status, 403);
    });
}

#[test]
fn accept_any_origin_turns_the_check_off() {
    within(async || {
        let any = Server::accept_any_origin;
        let answer = from_origin("https://evil.example", None, any).await;
        assert_eq!(answer.status, 101);
    });
}

#[test]
fn a_foreign_origin_never_reaches_the_worker() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::upgrade("/fetch-fail", client.host());
        let head = head.with("Origin", "https://evil.example");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 403);
    });
}

#[test]
fn the_origin_of_a_plain_request_is_the_workers_business() {
    within(async || {
        let server = Recorded::start().await;
        let mut client = RawClient::connect(server.addr).await;
        let head = Head::get("/page", client.host()).with("Origin", "https://other.example");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 200);
    });
}
