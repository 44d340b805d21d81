//! TLS: where a server's certificate and key come from.
//! Does not speak it: `opening` does, with what `shared` keeps up to date.

#[cfg(feature = "dev-cert")]
mod dev;
mod opening;
mod pair;
mod shared;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::opening::open;
use self::pair::Pair;
pub(super) use self::shared::Shared;
use crate::error::{Error, Result};

/// A certificate and its private key, for [`Server::tls`](crate::Server::tls).
///
/// Both are PEM. The certificate comes first in its text, then those that lead
/// to an authority which clients know (`fullchain.pem`); the key has no
/// passphrase. Keys may be RSA (2048 to 8192 bits), ECDSA (P-256, P-384) or Ed25519.
///
/// ```no_run
/// # use wsworker::prelude::*;
/// # use wsworker::Tls;
/// # fn server(server: Server) -> Server {
/// server.bind("0.0.0.0:443").tls(Tls::files(
///     "/etc/letsencrypt/live/chat.example/fullchain.pem",
///     "/etc/letsencrypt/live/chat.example/privkey.pem",
/// ))
/// # }
/// ```
///
/// # What is spoken
/// TLS 1.2 and 1.3, with session resumption by tickets, and over it HTTP/1.1
/// alone: that is what ALPN (RFC 7301) agrees on, and a client that offers
/// nothing but `h2` is refused with `no_application_protocol`.
///
/// # Errors
/// What is wrong with them is an error of [`Server::listen`](crate::Server::listen):
/// a file that cannot be read, a text in which there is no certificate or no
/// key, a key that is not the certificate's. A certificate that has expired, or
/// is not valid yet, is only warned of.
#[derive(Clone)]
pub struct Tls {
    source: Source,
    reload_every: Duration,
}

#[derive(Clone)]
enum Source {
    Files { certificate: PathBuf, key: PathBuf },
    Pem(Arc<Pair>),
}

impl Tls {
    /// A certificate and a key from files. They may be one file.
    ///
    /// While the server runs they are read again every
    /// [10 seconds](Self::reload_every), and what is new in them serves the
    /// connections that come from then on; those that are there stay as they
    /// are. Files that are replaced and links that are turned to others (as
    /// certbot and Kubernetes do) come to the same. A pair that cannot be used,
    /// half written perhaps, is logged once as an error, and the one before it
    /// stays in use.
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::of(Source::Files {
            certificate: certificate.into(),
            key: key.into(),
        })
    }

    /// A certificate and a key that the program has already. They stay as they are.
    pub fn pem(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self::of(Source::Pem(Arc::new(Pair {
            certificate: certificate.into(),
            key: key.into(),
        })))
    }

    /// How often the [files](Self::files) are read to see whether they have
    /// changed. At least a millisecond. Default: 10 seconds.
    pub fn reload_every(mut self, time: Duration) -> Self {
        self.reload_every = time.max(Duration::from_millis(1));
        self
    }

    /// The certificate with what follows it, as PEM: for a client that is to
    /// trust it. Reads the [file](Self::files) if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn certificate_pem(&self) -> Result<Vec<u8>> {
        Ok(match &self.source {
            Source::Files { certificate, .. } => read(certificate, "certificate")?,
            Source::Pem(pair) => pair.certificate.clone(),
        })
    }

    /// The SHA-256 of the certificate's public key, in base64. Chromium trusts
    /// it, whatever else is wrong with the certificate, when it is started with
    /// `--ignore-certificate-errors-spki-list=` and this text.
    ///
    /// # Errors
    /// Those of [`Server::listen`](crate::Server::listen) for certificates.
    pub fn spki_sha256(&self) -> Result<String> {
        self.read()?.spki_sha256(&self.names())
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            reload_every: RELOAD_EVERY,
        }
    }

    /// Both texts, as they are now.
    fn read(&self) -> Result<Arc<Pair>> {
        Ok(match &self.source {
            Source::Files { certificate, key } => Arc::new(Pair {
                certificate: read(certificate, "certificate")?,
                key: read(key, "key")?,
            }),
            Source::Pem(pair) => pair.clone(),
        })
    }

    /// What messages call the two.
    fn names(&self) -> Names {
        match &self.source {
            Source::Files { certificate, key } => Names {
                certificate: format!("'{}'", certificate.display()),
                key: format!("'{}'", key.display()),
            },
            Source::Pem(_) => Names {
                certificate: "the certificate's text".into(),
                key: "the key's text".into(),
            },
        }
    }
}

/// Where it comes from; never the key.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        write!(f, "Tls({}, {})", names.certificate, names.key)
    }
}

/// What messages call a certificate and a key.
struct Names {
    certificate: String,
    key: String,
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let shown = path.display();
    let bytes = read().map_err(|e| Error::io(format!("cannot read the {what} in '{shown}'"), e))?;
    if bytes.len() as u64 > LARGEST {
        let message = format!("'{shown}' is no {what}: it is larger than {LARGEST} bytes");
        return Err(Error::config(message));
    }
    Ok(bytes)
}

const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// A chain of certificates is some KiB.
const LARGEST: u64 = 1 << 20;
