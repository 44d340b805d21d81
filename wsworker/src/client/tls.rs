//! TLS to servers: whom to trust, and what to speak over it.
//! Does not open TCP connections: `connect` does.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls_native_certs::load_native_certs;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto};

use super::connect::{Failure, Speak, chain};
use super::settings::Settings;
use crate::connection::{Stream, TlsStream};
use crate::error::{Error, Result};

/// TLS for one client.
pub(super) struct Tls {
    /// Root certificates beside the platform's.
    roots: Vec<CertificateDer<'static>>,
    /// Made for the first connection, as the platform's certificates are read from files.
    configs: OnceCell<Configs>,
}

/// They differ in what they offer to speak (ALPN, RFC 7301).
struct Configs {
    http1: Arc<ClientConfig>,
    any: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            roots: settings.roots.clone(),
            configs: OnceCell::new(),
        }
    }

    /// The TLS handshake with the server of this name or address.
    pub(super) async fn connect(
        &self,
        host: &str,
        tcp: TcpStream,
        speak: Speak,
    ) -> Result<Stream, Failure> {
        let configs = self.configs.get_or_try_init(|| self.configure()).await?;
        let config = match speak {
            Speak::Http1 => &configs.http1,
            Speak::Any => &configs.any,
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::other(format!("'{host}' cannot be a certificate's name")))?;
        let connecting = TlsConnector::from(config.clone()).connect(name, tcp);
        match connecting.await {
            Ok(stream) => Ok(Stream::Tls(Box::new(TlsStream::new(stream)))),
            Err(error) => Err(refused(&error)),
        }
    }

    async fn configure(&self) -> Result<Configs, Failure> {
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            let added = store.add(root.clone());
            added.map_err(|e| Failure::other(format!("a root certificate added here: {e}")))?;
        }
        // Some of a platform's are of kinds that rustls does not know; those are left out.
        let (platform, why) = platform_roots().await;
        store.add_parsable_certificates(platform);
        if store.is_empty() {
            return Err(Failure::other(format!(
                "there is no root certificate to trust: the platform has none that can be read{why} \
                 (on Debian, install ca-certificates; SSL_CERT_FILE names another file), \
                 and none was added"
            )));
        }
        let config = |protocols: &[&[u8]]| {
            let provider = Arc::new(crypto::ring::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("ring speaks TLS 1.2 and 1.3")
                .with_root_certificates(store.clone())
                .with_no_client_auth();
            config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Configs {
            http1: config(&[b"http/1.1"]),
            any: config(&[b"h2", b"http/1.1"]),
        })
    }
}

/// The certificates in a PEM text, each of which can be a root.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let wrong = |what: String| Error::config(format!("root_certificate: {what}"));
    let found: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|e| wrong(format!("this is no PEM: {e}")))?;
    if found.is_empty() {
        return Err(wrong(
            "wanted one or more 'BEGIN CERTIFICATE' in PEM, found none".to_owned(),
        ));
    }
    for certificate in &found {
        let added = RootCertStore::empty().add(certificate.clone());
        added.map_err(|e| wrong(e.to_string()))?;
    }
    Ok(found)
}

/// The platform's root certificates, and why there may be fewer than there should.
async fn platform_roots() -> (Vec<CertificateDer<'static>>, String) {
    // Files are read, which takes a while.
    let Ok(loaded) = tokio::task::spawn_blocking(load_native_certs).await else {
        return (Vec::new(), ": reading them was stopped".to_owned());
    };
    let why = loaded.errors.first();
    let why = why.map(|error| format!(": {}", chain(error)));
    (loaded.certs, why.unwrap_or_default())
}

fn refused(error: &std::io::Error) -> Failure {
    let inner: Option<&(dyn StdError + 'static)> = match error.get_ref() {
        Some(inner) => Some(inner),
        None => None,
    };
    let text = match inner.and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is from nobody that is trusted here (UnknownIssuer); \
             ClientBuilder::root_certificate adds an authority"
                .to_owned()
        }
        // What `openssl req -x509` makes. webpki's error, whose type is not at hand here.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
            if other.0.to_string() == "CaUsedAsEndEntity" =>
        {
            "its certificate is an authority's own and cannot be a server's (CaUsedAsEndEntity); \
             with `openssl req -x509` add -addext basicConstraints=critical,CA:FALSE"
                .to_owned()
        }
        Some(error) => format!("TLS: {error}"),
        None => format!("TLS: {error}"),
    };
    Failure::other(text)
}
