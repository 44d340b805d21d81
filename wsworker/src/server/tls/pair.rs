//! A certificate and its key: from PEM to what rustls takes, with what is wrong said.
//! Does not read files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256, digest};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, CertificateError, InconsistentKeys, RootCertStore};

use super::Names;
use crate::error::{Error, Result};

/// The two texts, in PEM.
pub(super) struct Pair {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Pair {
    /// What a handshake needs of them.
    pub(super) fn certified(
        &self,
        names: &Names,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey> {
        let chain = self.chain(names)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|e| not_there(&names.key, "private key without a passphrase", e))?;
        let certified = CertifiedKey::from_der(chain, key, provider);
        certified.map_err(|error| unusable(names, error))
    }

    /// Changes with the texts.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.certificate.len().to_be_bytes());
        context.update(&self.certificate);
        context.update(&self.key);
        let digest = context.finish();
        digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    pub(super) fn spki_sha256(&self, names: &Names) -> Result<String> {
        let chain = self.chain(names)?;
        let certificate =
            ParsedCertificate::try_from(&chain[0]).map_err(|error| unusable(names, error))?;
        let spki = certificate.subject_public_key_info();
        Ok(STANDARD.encode(digest(&SHA256, &spki)))
    }

    /// The certificates, at least one.
    fn chain(&self, names: &Names) -> Result<Vec<CertificateDer<'static>>> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let found = found.and_then(|chain| match chain.is_empty() {
            true => Err(pem::Error::NoItemsFound),
            false => Ok(chain),
        });
        found.map_err(|e| not_there(&names.certificate, "certificate", e))
    }
}

/// Says so if the certificate is not valid at this time.
pub(super) fn out_of_date(
    certified: &CertifiedKey,
    names: &Names,
    provider: &CryptoProvider,
) -> Option<String> {
    let certificate = ParsedCertificate::try_from(certified.cert.first()?).ok()?;
    // Nobody is trusted here, so this never succeeds; but its first look is at
    // the dates.
    let verdict = verify_server_cert_signed_by_trust_anchor(
        &certificate,
        &RootCertStore::empty(),
        &[],
        UnixTime::now(),
        provider.signature_verification_algorithms.all,
    );
    let (what, when) = match verdict {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => ("has expired at", not_after),
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before,
            ..
        })) => ("is not valid before", not_before),
        _ => return None,
    };
    let since_epoch = std::time::Duration::from_secs(when.as_secs());
    let when = std::time::UNIX_EPOCH.checked_add(since_epoch)?;
    let when = humantime::format_rfc3339_seconds(when);
    let name = &names.certificate;
    Some(format!(
        "the certificate in {name} {what} {when}: clients will refuse it"
    ))
}

fn not_there(name: &str, wanted: &str, error: pem::Error) -> Error {
    let seen = match error {
        pem::Error::NoItemsFound => "there is none".to_owned(),
        pem::Error::MissingSectionEnd { .. } => "its end is missing".to_owned(),
        // The others show the text, which may be a key.
        _ => "it is damaged".to_owned(),
    };
    Error::config(format!("{name}: wanted a {wanted} in PEM, {seen}"))
}

fn unusable(names: &Names, error: rustls::Error) -> Error {
    let Names { certificate, key } = names;
    Error::config(match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("the key in {key} is not the one of the certificate in {certificate}")
        }
        rustls::Error::InvalidCertificate(error) => {
            format!("the certificate in {certificate} cannot be used: {error}")
        }
        error => format!("the key in {key} cannot be used: {error}"),
    })
}
