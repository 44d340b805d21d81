//! Whom a client trusts, and what it says of the others.

use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use wsworker::{Client, ReadBody};

use super::raw_server::RawServer;
use super::{Authority, HELLO, SHORT, answering, config, fails, serve_with, url};
use crate::alone::{Held, alone};
use crate::server::within;

#[test]
fn a_server_of_an_added_authority_is_trusted() {
    within(async || {
        let authority = Authority::new();
        for name in ["localhost", "127.0.0.1"] {
            let server = authority.serve(name, answering(HELLO));
            let client = authority.client();
            for _ in 0..2 {
                let mut response = client.fetch(url("https", name, &server)).await.unwrap();
                assert_eq!(response.text().await.unwrap(), "hello");
            }
            assert_eq!(server.accepted(), 1, "the connection is kept");
        }
    });
}

#[test]
fn a_server_of_nobody_known_is_refused() {
    within(async || {
        let server = Authority::new().serve("localhost", |conn| conn.until_left());
        for client in [Client::new(), Authority::new().client()] {
            for (scheme, shown) in [("https", "https"), ("wss", "https")] {
                let error = fails(&client, url(scheme, "localhost", &server)).await;
                assert!(error.is_fetch());
                let at = url(shown, "localhost", &server);
                let wanted = format!(
                    "cannot connect to {}: its certificate is from nobody that is trusted here",
                    at.trim_end_matches('/')
                );
                assert!(error.to_string().starts_with(&wanted), "{error}");
                assert!(error.to_string().contains("root_certificate"), "{error}");
            }
        }
    });
}

#[test]
fn a_certificate_for_another_name_is_refused_and_both_are_named() {
    alone(async || {
        let authority = Authority::new();
        let server = authority.serve("a.example", |conn| conn.until_left());
        let before = Held::now();
        for scheme in ["https", "wss"] {
            let error = fails(&authority.client(), url(scheme, "localhost", &server)).await;
            before.again(scheme).await;
            assert!(error.is_fetch());
            let text = error.to_string();
            assert!(
                text.contains("certificate not valid for name \"localhost\""),
                "{text}"
            );
            assert!(text.contains("a.example"), "{text}");
        }
    });
}

#[test]
fn an_authoritys_own_certificate_is_refused_and_the_remedy_named() {
    within(async || {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let pem = certificate.pem();
        let config = config(certificate.into(), &key, &["http/1.1"]);
        let server = serve_with(config, |conn| conn.until_left());
        let client = Client::builder().root_certificate(pem).build().unwrap();
        let error = fails(&client, url("wss", "localhost", &server)).await;
        assert!(error.is_fetch());
        let text = error.to_string();
        assert!(
            text.contains("basicConstraints=critical,CA:FALSE"),
            "{text}"
        );
    });
}

#[test]
fn what_is_no_tls_is_an_error() {
    within(async || {
        let server = RawServer::start(|conn| {
            conn.send("HTTP/1.1 400 Bad Request\r\n\r\n");
            conn.until_left();
        });
        for scheme in ["https", "wss"] {
            let error = fails(&Client::new(), url(scheme, "localhost", &server)).await;
            assert!(error.is_fetch());
            assert!(error.to_string().contains(": TLS: "), "{error}");
        }
    });
}

#[test]
fn a_tls_handshake_without_end_is_an_error_in_time() {
    within(async || {
        let server = RawServer::start(|conn| conn.until_left());
        let client = Client::builder().connect_timeout(SHORT).build().unwrap();
        for (number, scheme) in ["https", "wss"].iter().enumerate() {
            let error = fails(&client, url(scheme, "127.0.0.1", &server)).await;
            assert!(error.is_timeout());
            let wanted = "no TLS connection within 200ms (connect_timeout)";
            assert!(error.to_string().ends_with(wanted), "{error}");
            server.left(number + 1).await;
        }
    });
}

#[test]
fn what_is_no_root_is_an_error_of_the_setting() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    for (pem, wanted) in [
        ("", "found none"),
        (key.as_str(), "found none"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "root_certificate: ",
        ),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "no PEM"),
    ] {
        let error = Client::builder().root_certificate(pem).build().unwrap_err();
        assert!(error.is_config());
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn a_platform_without_roots_is_said() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "client::trust::without_roots", "--ignored"])
        .env("SSL_CERT_FILE", "/nonexistent/roots.pem")
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
#[ignore = "run by the one above, where the platform has no roots"]
fn without_roots() {
    within(async || {
        let authority = Authority::new();
        let server = authority.serve("localhost", answering(HELLO));
        let at = url("https", "localhost", &server);
        let text = fails(&Client::new(), &at).await.to_string();
        assert!(
            text.contains("there is no root certificate to trust"),
            "{text}"
        );
        assert!(text.contains("/nonexistent/roots.pem"), "{text}");
        // One that was added is enough.
        let mut response = authority.client().fetch(&at).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "hello");
    });
}
