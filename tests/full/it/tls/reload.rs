//! Certificate files that change while the server runs.
//! Does not treat those that are wrong from the start: `certificates` does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;
use wsworker::Tls;

use super::certificate;
use super::client::Client;
use crate::raw::{DEADLINE, Frame, RawClient};
use crate::server::{Recorded, within};

/// How often the servers under test look.
const SOON: Duration = Duration::from_millis(20);

/// A certificate and key of their own, to be written to files.
struct Issued {
    certificate: String,
    key: String,
}

impl Issued {
    fn new() -> Issued {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        Issued {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn write_to(&self, dir: &Path) {
        std::fs::write(dir.join("tls.crt"), &self.certificate).unwrap();
        std::fs::write(dir.join("tls.key"), &self.key).unwrap();
    }

    /// Trusts this one alone.
    fn client(&self) -> Client {
        Client::trusting(&Tls::pem(&*self.certificate, &*self.key))
    }
}

async fn serve(dir: &Path) -> Recorded {
    let tls = Tls::files(dir.join("tls.crt"), dir.join("tls.key")).reload_every(SOON);
    Recorded::start_with(|server| server.tls(tls)).await
}

/// Waits until new connections get this one.
async fn is_served(issued: &Issued, server: &Recorded) -> RawClient {
    let (client, begun) = (issued.client(), Instant::now());
    while client.try_connect(server.addr).await.is_err() {
        assert!(begun.elapsed() < DEADLINE, "the new one is never served");
        sleep(SOON).await;
    }
    client.open(server.addr).await
}

async fn echoes(client: &mut RawClient) {
    client.send(Frame::text("hello")).await;
    client.expect_text("hello").await;
}

#[test]
fn a_new_pair_is_served_and_open_connections_stay() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Issued::new(), Issued::new());
        old.write_to(dir.path());
        let server = serve(dir.path()).await;
        let mut held = old.client().open(server.addr).await;
        new.write_to(dir.path());
        let mut fresh = is_served(&new, &server).await;
        assert!(old.client().try_connect(server.addr).await.is_err());
        echoes(&mut held).await;
        echoes(&mut fresh).await;
        held.close().await;
    });
}

/// As Kubernetes and certbot do it: links that lead somewhere else at once.
#[cfg(unix)]
#[test]
fn links_that_are_turned_are_followed() {
    use std::os::unix::fs::symlink;

    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Issued::new(), Issued::new());
        let place = |name: &str, issued: &Issued| -> PathBuf {
            let place = dir.path().join(name);
            std::fs::create_dir(&place).unwrap();
            issued.write_to(&place);
            place
        };
        symlink(place("1", &old), dir.path().join("..data")).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), dir.path().join(file)).unwrap();
        }
        let server = serve(dir.path()).await;
        let mut held = old.client().open(server.addr).await;
        symlink(place("2", &new), dir.path().join("..data_tmp")).unwrap();
        std::fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
        is_served(&new, &server).await;
        echoes(&mut held).await;
    });
}

/// Changes the files by `harm`, which must not change what is served; then
/// puts them right.
async fn keeps_the_old(harm: impl FnOnce(&TempDir, &Issued)) {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (Issued::new(), Issued::new());
    old.write_to(dir.path());
    let server = serve(dir.path()).await;
    let mut held = old.client().open(server.addr).await;
    harm(&dir, &new);
    // Some looks.
    sleep(8 * SOON).await;
    old.client().open(server.addr).await.close().await;
    echoes(&mut held).await;
    new.write_to(dir.path());
    is_served(&new, &server).await;
    echoes(&mut held).await;
}

#[test]
fn a_pair_that_does_not_fit_keeps_the_old() {
    within(async || {
        keeps_the_old(|dir, new| {
            std::fs::write(dir.path().join("tls.crt"), &new.certificate).unwrap();
        })
        .await;
    });
}

#[test]
fn a_half_written_certificate_keeps_the_old() {
    within(async || {
        keeps_the_old(|dir, new| {
            let half = &new.certificate[..new.certificate.len() / 2];
            std::fs::write(dir.path().join("tls.crt"), half).unwrap();
            std::fs::write(dir.path().join("tls.key"), "").unwrap();
        })
        .await;
    });
}

#[test]
fn files_that_are_gone_keep_the_old() {
    within(async || {
        keeps_the_old(|dir, _| {
            std::fs::remove_file(dir.path().join("tls.crt")).unwrap();
            std::fs::remove_file(dir.path().join("tls.key")).unwrap();
        })
        .await;
    });
}

#[test]
fn a_pair_that_came_back_is_served_again() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Issued::new(), Issued::new());
        old.write_to(dir.path());
        let server = serve(dir.path()).await;
        new.write_to(dir.path());
        is_served(&new, &server).await;
        old.write_to(dir.path());
        is_served(&old, &server).await;
    });
}

#[test]
fn a_session_of_before_is_resumed_after() {
    within(async || {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (Issued::new(), Issued::new());
        old.write_to(dir.path());
        let server = serve(dir.path()).await;
        let client = old.client();
        client.open(server.addr).await.close().await;
        new.write_to(dir.path());
        is_served(&new, &server).await;
        // It would refuse the new certificate, and gets none.
        client.open(server.addr).await.close().await;
    });
}

#[test]
fn a_pair_that_the_program_gave_is_not_looked_for() {
    within(async || {
        let tls = certificate().reload_every(SOON);
        let client = Client::trusting(&tls);
        let mut server = Recorded::start_with(|server| server.tls(tls)).await;
        sleep(4 * SOON).await;
        client.open(server.addr).await.close().await;
        server.served.shut_down().await;
    });
}
