//! What a server's TLS connections share: the configuration, and the pair in use,
//! which follows its files. Does not do handshakes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use super::{Names, Source, Tls, pair};
use crate::error::{Error, Result};
use crate::log;

/// A server's TLS.
pub(in crate::server) struct Shared {
    tls: Tls,
    provider: Arc<CryptoProvider>,
    pub(super) acceptor: TlsAcceptor,
    in_use: Arc<InUse>,
    seen: Mutex<Seen>,
}

/// What the last look at the source saw.
struct Seen {
    /// The texts, whether they could be used or not.
    digest: [u8; 32],
    /// Why they could not be read.
    unreadable: Option<String>,
}

impl Shared {
    /// Reads certificate and key.
    pub(in crate::server) fn load(tls: Tls) -> Result<Arc<Self>> {
        let provider = Arc::new(ring::default_provider());
        let (pair, names) = (tls.read()?, tls.names());
        let certified = pair.certified(&names, &provider)?;
        warn_if_out_of_date(&certified, &names, &provider);
        let in_use = Arc::new(InUse(RwLock::new(Arc::new(certified))));
        let config = config(provider.clone(), in_use.clone())
            .map_err(|e| Error::config(format!("TLS cannot be used here: {e}")))?;
        Ok(Arc::new(Self {
            tls,
            provider,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            in_use,
            seen: Mutex::new(Seen {
                digest: pair.digest(),
                unreadable: None,
            }),
        }))
    }

    /// Looks for a new pair now and then, for ever.
    pub(in crate::server) async fn follow(self: Arc<Self>) {
        if !matches!(self.tls.source, Source::Files { .. }) {
            std::future::pending::<()>().await;
        }
        loop {
            sleep(self.tls.reload_every).await;
            // A file may lie where reading takes its time.
            let shared = self.clone();
            // Only a panic could be lost with it, and the next look comes.
            let _ = spawn_blocking(move || shared.look()).await;
        }
    }

    /// Takes a new pair into use, if there is one that can be used.
    fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = match self.tls.read() {
            Ok(pair) => pair,
            Err(error) => {
                let text = error.to_string();
                if seen.unreadable.as_ref() != Some(&text) {
                    log::error(&format!("{text}; {UNCHANGED}"));
                    seen.unreadable = Some(text);
                }
                return;
            }
        };
        seen.unreadable = None;
        let digest = pair.digest();
        if digest == seen.digest {
            return;
        }
        seen.digest = digest;
        let names = self.tls.names();
        match pair.certified(&names, &self.provider) {
            Ok(certified) => {
                warn_if_out_of_date(&certified, &names, &self.provider);
                self.in_use.set(certified);
                tracing::info!(certificate = names.certificate, "a new certificate is used");
            }
            Err(error) => log::error(&format!("{error}; {UNCHANGED}")),
        }
    }
}

/// The certificate and key that the next handshake uses.
struct InUse(RwLock<Arc<CertifiedKey>>);

impl InUse {
    fn set(&self, certified: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let in_use = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(in_use.clone())
    }
}

/// rustls asks for it; there is a key in it.
impl fmt::Debug for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InUse")
    }
}

fn config(
    provider: Arc<CryptoProvider>,
    in_use: Arc<InUse>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(in_use);
    // HTTP/2 has no `Connection: Upgrade` (RFC 9113 §8.2.2), and what it has
    // instead (RFC 8441) is not there.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Resumption without a table of sessions: the client keeps what is needed.
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

fn warn_if_out_of_date(certified: &CertifiedKey, names: &Names, provider: &CryptoProvider) {
    if let Some(warning) = pair::out_of_date(certified, names, provider) {
        log::warn(&warning);
    }
}

const UNCHANGED: &str = "the certificate before it stays in use";
