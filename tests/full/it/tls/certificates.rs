//! Certificates and keys: which can be used, and what is said of the others.
//! Does not treat those that change: `reload` does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, date_time_ymd};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use wsworker::Tls;
use wsworker::prelude::*;

use super::client::Client;
use super::{certificate, start};
use crate::server::{Recorded, within};

/// A certificate and its key, as PEM.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

/// Why it cannot listen with them.
async fn refusal(tls: Tls) -> Error {
    let server = Server::new(Echo).bind("127.0.0.1:0").tls(tls);
    match server.listen().await {
        Ok(_) => panic!("it listens"),
        Err(error) => error,
    }
}

#[test]
fn what_cannot_be_used_is_said_before_anything_listens() {
    within(async || {
        let (certificate, key) = pair();
        let (other, _) = pair();
        let cut = &certificate[..certificate.len() - 40];
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let damaged = key.replace('M', "~");
        let cases = [
            (&*other, &*key, "is not the one of the certificate"),
            ("", &*key, "wanted a certificate in PEM, there is none"),
            (
                &*key,
                &*certificate,
                "wanted a certificate in PEM, there is none",
            ),
            (
                cut,
                &*key,
                "wanted a certificate in PEM, its end is missing",
            ),
            (&*certificate, &*certificate, "wanted a private key"),
            (&*certificate, &*encrypted, "without a passphrase"),
            (&*certificate, &*damaged, "it is damaged"),
        ];
        for (certificate, key, wanted) in cases {
            let error = refusal(Tls::pem(certificate, key)).await;
            let text = error.to_string();
            assert!(text.contains(wanted), "'{wanted}' is not in: {text}");
            assert!(error.is_config(), "{text}");
            assert!(!text.contains("MI"), "the key is shown: {text}");
        }
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = refusal(Tls::pem(nonsense, key)).await.to_string();
        assert!(text.contains("cannot be used"), "{text}");
    });
}

#[test]
fn a_file_that_is_not_there_is_named() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let error = refusal(Tls::files(&certificate, &key)).await;
        assert!(error.is_io());
        let text = error.to_string();
        assert!(
            text.starts_with("cannot read the certificate in '"),
            "{text}"
        );
        assert!(text.contains("c.pem"), "{text}");
        std::fs::write(&certificate, pair().0).unwrap();
        let text = refusal(Tls::files(&certificate, &key)).await.to_string();
        assert!(text.starts_with("cannot read the key in '"), "{text}");
        std::fs::write(&key, pair().1).unwrap();
        let text = refusal(Tls::files(&certificate, &key)).await.to_string();
        assert!(text.contains("k.pem") && text.contains("c.pem"), "{text}");
    });
}

#[test]
fn certificate_and_key_may_be_one_file() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("both.pem");
        let (certificate, key) = pair();
        std::fs::write(&path, key + &certificate).unwrap();
        let tls = Tls::files(&path, &path);
        let client = Client::trusting(&tls);
        let server = Recorded::start_with(|s| s.tls(tls)).await;
        client.open(server.addr).await.close().await;
    });
}

#[test]
fn an_expired_certificate_is_served_all_the_same() {
    within(async || {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        let tls = Tls::pem(certificate.pem(), key.serialize_pem());
        let client = Client::trusting(&tls);
        let server = Recorded::start_with(|s| s.tls(tls)).await;
        let error = client.try_connect(server.addr).await.unwrap_err();
        let error: &rustls::Error = error.get_ref().unwrap().downcast_ref().unwrap();
        assert!(
            matches!(
                error,
                rustls::Error::InvalidCertificate(rustls::CertificateError::ExpiredContext { .. })
            ),
            "it is the client that refuses it: {error}"
        );
    });
}

#[test]
fn a_development_certificate_holds_for_its_names_alone() {
    within(async || {
        let (server, client) = start().await;
        for name in ["localhost", "127.0.0.1"] {
            client.try_connect_as(name, server.addr).await.unwrap();
        }
        let error = client.try_connect_as("a.example", server.addr).await;
        assert!(error.is_err());
        let other = Client::trusting(&certificate());
        assert!(other.try_connect(server.addr).await.is_err());
        let none: [&str; 0] = [];
        assert!(Tls::self_signed(none).unwrap_err().is_config());
        let error = Tls::self_signed(["löcal"]).unwrap_err();
        assert!(error.to_string().contains("löcal"), "{error}");
    });
}

#[test]
fn a_development_certificates_subject_is_none_that_others_have() {
    let der = CertificateDer::from_pem_slice(&certificate().certificate_pem().unwrap()).unwrap();
    let has = |text: &str| {
        der.windows(text.len())
            .filter(|w| *w == text.as_bytes())
            .count()
    };
    // Issuer and subject; the name is in the extension alone.
    assert_eq!(has("wsworker development certificate"), 2);
    assert_eq!(has("localhost"), 1);
}

#[test]
fn the_fingerprint_is_that_of_the_public_key() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let tls = Tls::pem(certificate.pem(), key.serialize_pem());
    let wanted = STANDARD.encode(digest(&SHA256, &key.subject_public_key_info()));
    assert_eq!(tls.spki_sha256().unwrap(), wanted);
    let dir = tempfile::tempdir().unwrap();
    let (c, k) = (dir.path().join("c"), dir.path().join("k"));
    std::fs::write(&c, certificate.pem()).unwrap();
    std::fs::write(&k, key.serialize_pem()).unwrap();
    assert_eq!(Tls::files(c, k).spki_sha256().unwrap(), wanted);
}

#[test]
fn what_is_printed_for_debugging_holds_no_key() {
    let (certificate, key) = pair();
    let tls = Tls::pem(certificate, key.clone());
    let shown = format!("{tls:?} {:?}", Server::new(Echo).tls(tls.clone()));
    assert!(!shown.contains("PRIVATE"), "{shown}");
    assert!(!shown.contains(&key[40..60]), "{shown}");
}
