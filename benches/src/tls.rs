//! A certificate for this run alone, and the loads' client that trusts it and nothing else.
//! No other program ever sees it: its key goes into a server's own directory, which goes with the server.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::net;

/// Whom the certificate is for: the loads go nowhere else.
const NAME: &str = "localhost";

/// What servers and loads share.
struct Identity {
    certificate: String,
    key: String,
    client: Arc<ClientConfig>,
}

static IDENTITY: LazyLock<Identity> =
    LazyLock::new(|| Identity::new().expect("a certificate needs nothing from outside"));

impl Identity {
    fn new() -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            certificate: cert.pem(),
            key: signing_key.serialize_pem(),
            client: Arc::new(client),
        })
    }
}

/// Writes the certificate and its key into a server's directory; where they are.
pub fn files(directory: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&certificate, &IDENTITY.certificate).context("writing the certificate")?;
    fs::write(&key, &IDENTITY.key).context("writing the key")?;
    Ok((certificate, key))
}

/// A client's end of a connection, before its first byte.
fn client() -> Result<ClientConnection> {
    let name = ServerName::try_from(NAME)?;
    Ok(ClientConnection::new(Arc::clone(&IDENTITY.client), name)?)
}

/// A connection of a load, encrypted or not.
pub struct Secured<S> {
    stream: S,
    tls: Option<Box<ClientConnection>>,
}

impl Secured<TcpStream> {
    /// Connects to a server, over TLS if it speaks that, and upgrades; the stream blocks, with a time
    /// limit. `nth` picks the source.
    pub fn open(addr: SocketAddrV4, nth: usize, tls: bool) -> Result<Self> {
        let mut secured = Self {
            stream: net::connect(addr, nth)?,
            tls: match tls {
                true => Some(Box::new(client()?)),
                false => None,
            },
        };
        net::upgrade(&mut secured, addr)?;
        Ok(secured)
    }

    /// The same connection, without waiting from now on.
    pub fn unblocked(self) -> io::Result<Secured<mio::net::TcpStream>> {
        self.stream.set_nonblocking(true)?;
        Ok(Secured {
            stream: mio::net::TcpStream::from_std(self.stream),
            tls: self.tls,
        })
    }
}

impl<S: Read + Write> Secured<S> {
    /// The socket, for a poll.
    pub fn socket(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether a read that has filled its buffer in part has emptied the socket.
    pub fn is_emptied_by_a_short_read(&self) -> bool {
        // A record's bytes come out of it alone, whatever lies behind it.
        self.tls.is_none()
    }
}

impl<S: Read + Write> Read for Secured<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.stream.read(buffer),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.stream).read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Secured<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.stream.write(bytes),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.stream).write(bytes),
        }
    }

    /// Sends what was encrypted and is still here.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.flush(),
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.stream).flush(),
        }
    }
}
