//! A client that refuses private addresses, wherever they come from.

use wsworker::Client;

use super::raw_server::RawServer;
use super::{build, client, fails};
use crate::server::within;

fn careful() -> Client {
    build(|client| client.refuse_private_addresses(true))
}

async fn refused(url: String, wanted: &str) {
    let error = fails(&careful(), url.as_str()).await;
    assert!(error.is_fetch(), "{error}");
    assert!(error.is_private_address(), "{error}");
    let text = error.to_string();
    assert!(text.contains(wanted), "{url}: {text}");
    assert!(text.contains("refuse_private_addresses"), "{url}: {text}");
}

#[test]
fn private_addresses_are_refused_by_name_and_number() {
    within(async || {
        let server = RawServer::answering("");
        let port = server.addr.port();
        for (host, wanted) in [
            ("127.0.0.1", "'127.0.0.1' is 127.0.0.1 (loopback)"),
            ("[::1]", "'[::1]' is ::1 (loopback)"),
            ("[::ffff:127.0.0.1]", "(loopback)"),
            ("localhost", "(loopback)"),
            ("127.1", "(loopback)"),
            ("2130706433", "(loopback)"),
            ("0x7f000001", "(loopback)"),
            ("10.0.0.1", "(private)"),
            ("169.254.169.254", "(link-local)"),
            ("[fd00::1]", "(unique local)"),
            ("0.0.0.0", "(unspecified)"),
        ] {
            for scheme in ["http", "ws"] {
                refused(format!("{scheme}://{host}:{port}/"), wanted).await;
            }
        }
        assert_eq!(server.accepted(), 0);
    });
}

#[test]
fn without_the_option_they_are_addresses_as_any() {
    within(async || {
        let server = RawServer::answering(super::ok("x"));
        let port = server.addr.port();
        for host in ["127.0.0.1", "localhost"] {
            let response = client().fetch(format!("http://{host}:{port}/")).await;
            assert_eq!(response.unwrap().status(), 200);
        }
    });
}
