//! Redirects of plain requests.

use std::sync::{Arc, Mutex};

use wsworker::{ReadBody, Redirect, Request};

use super::raw_server::{Conn, Head, RawServer};
use super::{build, client, fails, fails_with, ok, redirect, streamed};
use crate::server::within;

/// Redirects `/STATUS/LOCATION…`, answers the rest with the request itself.
fn answer(conn: &mut Conn, head: &Head) {
    let length = head.header("content-length").unwrap_or("0");
    let body = conn.bytes(length.parse().unwrap());
    let body = String::from_utf8(body).unwrap();
    let mut parts = head.path().splitn(3, '/').skip(1);
    let status = parts.next().and_then(|s| s.parse::<u16>().ok());
    conn.send(match (status, parts.next()) {
        (Some(status), Some(location)) => redirect(status, location),
        _ => {
            let secret = |name| head.header(name).map_or("-", |_| name);
            let secrets = ["authorization", "cookie", "content-type"].map(secret);
            ok(&format!(
                "{} {} {body:?} {}",
                head.method(),
                head.path(),
                secrets.join(" ")
            ))
        }
    });
}

fn redirecting() -> RawServer {
    RawServer::start(|conn| {
        while let Some(head) = conn.head() {
            answer(conn, &head);
        }
    })
}

fn post(url: String) -> Request {
    Request::post(url)
        .header("authorization", "x")
        .header("cookie", "x")
        .header("content-type", "x")
        .body("text")
        .into()
}

async fn text(request: impl Into<Request>) -> String {
    client().fetch(request).await.unwrap().text().await.unwrap()
}

#[test]
fn they_are_followed_relative_or_absolute() {
    within(async || {
        let server = redirecting();
        let got = text(server.url("/301//end")).await;
        assert_eq!(got, r#"GET /end "" - - -"#);
        let got = text(server.url("/302/../end?q")).await;
        assert_eq!(got, r#"GET /end?q "" - - -"#);
        let got = text(server.url(&format!("/302/{}", server.url("/308//303//end")))).await;
        assert_eq!(got, r#"GET /end "" - - -"#);
    });
}

#[test]
fn a_post_becomes_a_get_or_is_sent_again() {
    within(async || {
        let server = redirecting();
        for status in [301, 302, 303] {
            let got = text(post(server.url(&format!("/{status}//end")))).await;
            assert_eq!(got, r#"GET /end "" authorization cookie -"#, "{status}");
        }
        for status in [307, 308] {
            let got = text(post(server.url(&format!("/{status}//end")))).await;
            let wanted = r#"POST /end "text" authorization cookie content-type"#;
            assert_eq!(got, wanted, "{status}");
        }
    });
}

#[test]
fn secrets_do_not_go_to_another_origin() {
    within(async || {
        let (server, other) = (redirecting(), redirecting());
        // Not there, and not when it leads back.
        let away = other.url("/end");
        let got = text(post(server.url(&format!("/307/{away}")))).await;
        assert_eq!(got, r#"POST /end "text" - - content-type"#);
        let and_back = other.url(&format!("/307/{}", server.url("/end")));
        let got = text(post(server.url(&format!("/307/{and_back}")))).await;
        assert_eq!(got, r#"POST /end "text" - - content-type"#);
    });
}

#[test]
fn a_stream_is_not_sent_again() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.head();
            conn.until(b"0\r\n\r\n");
            conn.send(redirect(307, "/end"));
        });
        let request = Request::post(server.url("/")).body(streamed(vec!["x"]));
        let text = format!(
            "http://{} redirects with 307: the body is a stream and cannot be sent again",
            server.addr
        );
        fails_with(&client(), request, &text).await;
    });
}

#[test]
fn a_loop_ends() {
    within(async || {
        let seen = Arc::new(Mutex::new(0));
        let count = seen.clone();
        let server = RawServer::start(move |conn| {
            while conn.head().is_some() {
                *count.lock().unwrap() += 1;
                conn.send(redirect(302, "/again"));
            }
        });
        let at = server.addr;
        let text = format!(
            "http://{at} redirects with 302: that is one more than the 10 that are followed"
        );
        fails_with(&client(), server.url("/"), &text).await;
        assert_eq!(*seen.lock().unwrap(), 11);
        let none = build(|c| c.redirect(Redirect::Follow(0)));
        let error = fails(&none, server.url("/")).await;
        assert!(error.to_string().contains("one more than the 0"), "{error}");
    });
}

#[test]
fn one_can_be_given_back() {
    within(async || {
        let server = redirecting();
        let client = build(|c| c.redirect(Redirect::Manual));
        let response = client.fetch(server.url("/302//end")).await.unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(super::header(&response, "location"), Some("/end"));
    });
}

#[test]
fn one_that_leads_nowhere_is_an_error_that_says_why() {
    within(async || {
        let server = redirecting();
        let at = server.addr;
        for (location, why) in [
            (
                "ftp://a.example/",
                "'location' must lead to http or https, got 'ftp'",
            ),
            (
                "ws://a.example/",
                "'location' must lead to http or https, got 'ws'",
            ),
            ("http://[1/", "'location' must be a URL, got 'http://[1/'"),
        ] {
            let text = format!("http://{at} redirects with 302: {why}");
            fails_with(&client(), server.url(&format!("/302/{location}")), &text).await;
        }
    });
}
