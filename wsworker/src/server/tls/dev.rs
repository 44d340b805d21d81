//! A certificate made on the spot, for development.
//! Nobody trusts it who was not told to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use super::Tls;
use crate::error::{Error, Result};

impl Tls {
    /// A new certificate for these names and addresses, signed by itself, for
    /// development: good for 90 days, or until the program ends. Needs the
    /// feature `dev-cert`.
    ///
    /// Clients refuse it unless they are told to trust it:
    /// [`certificate_pem`](Self::certificate_pem) and
    /// [`spki_sha256`](Self::spki_sha256) are for that.
    ///
    /// ```no_run
    /// # use wsworker::prelude::*;
    /// # use wsworker::Tls;
    /// # fn run(server: Server) -> Result<()> {
    /// server.tls(Tls::self_signed(["localhost", "127.0.0.1", "::1"])?).run()
    /// # }
    /// ```
    ///
    /// # Errors
    /// No name, or one that is neither a host's name nor an IP address.
    pub fn self_signed<I>(names: I) -> Result<Self>
    where
        I: IntoIterator<Item: Into<String>>,
    {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Err(Error::config("a certificate needs at least one name"));
        }
        let shown = names.join(", ");
        let failed = |e: rcgen::Error| {
            Error::config(format!("cannot make a certificate for '{shown}': {e}"))
        };
        let mut params = CertificateParams::new(names).map_err(failed)?;
        // A subject that no other certificate has: clients look for whom to trust by it, and
        // Debian's ssl-cert puts one for `localhost` among those. The names are in the
        // extension alone (RFC 9110 §4.3.4).
        let subject = "wsworker development certificate";
        params.distinguished_name.push(DnType::CommonName, subject);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let epoch = date_time_ymd(1970, 1, 1);
        // Clocks differ: it is valid since yesterday.
        params.not_before = epoch + now.saturating_sub(DAY);
        params.not_after = epoch + now + 90 * DAY;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self::pem(
            pem("CERTIFICATE", certificate.der()),
            pem("PRIVATE KEY", &key.serialize_der()),
        ))
    }
}

/// RFC 7468 §2: lines of 64 characters between two that name it.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    // 48 bytes are 64 characters.
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
