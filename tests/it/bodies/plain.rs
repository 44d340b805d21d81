//! Responses that are there as a whole: what HEAD, 204 and 304 leave out.
//! Does not treat streams: `down` does.

use super::Site;
use crate::raw::Head;
use crate::server::within;

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let got = client.get("/page").await;
        let head = Head::get("/page", client.host()).line("HEAD /page HTTP/1.1");
        client.send_raw(head.encode()).await;
        let head = client.reader.read_head().await;
        assert_eq!(head.status, 200);
        for name in ["content-length", "content-type"] {
            assert_eq!(head.header(name), got.header(name), "{name}");
            assert!(head.header(name).is_some(), "{name}");
        }
        // Nothing stands before the next answer.
        assert_eq!(client.get("/page").await.text(), "<p>a page</p>");
    });
}

#[test]
fn head_of_a_stream_drops_it_and_sends_none_of_it() {
    within(async || {
        let mut site = Site::start().await;
        let mut client = site.connect().await;
        site.feed("not sent");
        let head = Head::get("/stream", client.host()).line("HEAD /stream HTTP/1.1");
        client.send_raw(head.encode()).await;
        assert_eq!(client.reader.read_head().await.status, 200);
        site.expect_told("the stream is dropped").await;
        assert_eq!(client.get("/page").await.text(), "<p>a page</p>");
    });
}

#[test]
fn a_204_and_a_304_have_no_body() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        for (path, status) in [("/none", 204), ("/same", 304)] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("content-length"), None, "RFC 9110 §8.6");
            assert_eq!(answer.header("transfer-encoding"), None);
        }
        assert_eq!(client.get("/page").await.text(), "<p>a page</p>");
    });
}

#[test]
fn an_answer_says_when_it_was_given() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        for path in ["/page", "/none", "/there"] {
            let answer = client.get(path).await;
            // RFC 9110 §5.6.7: Sun, 06 Nov 1994 08:49:37 GMT
            let date = answer.header("date").expect("there is a date");
            assert_eq!((date.len(), &date[3..5], &date[25..]), (29, ", ", " GMT"));
        }
    });
}

#[test]
fn each_cookie_is_a_header_of_its_own() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let answer = client.get("/page").await;
        let cookies = answer.headers.iter().filter(|(n, _)| n == "set-cookie");
        let cookies: Vec<_> = cookies.map(|(_, v)| v.as_str()).collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
    });
}

#[test]
fn a_redirect_says_where_to() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        let answer = client.get("/there").await;
        assert_eq!((answer.status, answer.text()), (303, ""));
        assert_eq!(answer.header("location"), Some("/page"));
    });
}

#[test]
fn the_url_is_what_the_client_asked_for() {
    within(async || {
        let site = Site::start_with(|s| s.trusted_proxies(["127.0.0.1"])).await;
        let mut client = site.connect().await;
        let answer = client.get("/url?x=1").await;
        let wanted = format!("http://{}/url?x=1", site.served.addr);
        assert_eq!(answer.text(), wanted);
        let head = Head::get("/url", "chat.example").with("X-Forwarded-Proto", "https");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "https://chat.example/url");
    });
}

#[test]
fn a_target_is_a_path_however_it_is_said() {
    within(async || {
        let site = Site::start().await;
        let mut client = site.connect().await;
        // RFC 9112 §3.2.2: of a whole URI the host counts.
        let head = Head::get("http://b.example:81/url?x=1", "a.example");
        client.send_raw(head.encode()).await;
        let answer = client.read_response().await;
        assert_eq!(answer.text(), "http://b.example:81/url?x=1");
        let head = Head::get("http://b.example/uri?x=1", "a.example");
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.text(), "/uri?x=1");
        for line in ["GET http://b.example HTTP/1.1", "OPTIONS * HTTP/1.1"] {
            let head = Head::get("", "a.example").line(line);
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, 200, "{line}");
        }
    });
}

#[test]
fn a_target_that_could_be_taken_for_the_end_of_a_host_is_400() {
    within(async || {
        let site = Site::start().await;
        for target in [
            ".evil.example",
            "9",
            "evil.example:80",
            ".evil.example://x/",
            "ftp://evil.example/",
            "http://user@evil.example/",
            "*",
        ] {
            let mut client = site.connect().await;
            let head = Head::get(target, "a.example");
            client.send_raw(head.encode()).await;
            let answer = client.read_response().await;
            assert_eq!(answer.status, 400, "{target}");
        }
        // RFC 9110 §9.3.6: what follows it would be no HTTP.
        let mut client = site.connect().await;
        let line = "CONNECT evil.example:80 HTTP/1.1";
        let head = Head::get("", "evil.example:80").line(line);
        client.send_raw(head.encode()).await;
        assert_eq!(client.read_response().await.status, 501);
        client.expect_eof().await;
    });
}
