//! A TLS client: rustls over a TCP stream whose bytes can be looked at.
//! Does not speak WebSocket: what it opens is handed to the raw client.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use wsworker::Tls;

use crate::raw::{DEADLINE, RawClient};

/// What all connections of one client share: whom it trusts, and its sessions.
#[derive(Clone)]
pub struct Client(Arc<ClientConfig>);

pub type Stream = TlsStream<Tap>;

impl Client {
    /// Trusts this certificate alone.
    pub fn trusting(tls: &Tls) -> Client {
        Client::with(tls, &[&TLS13, &TLS12], &[])
    }

    pub fn of_version(tls: &Tls, version: &'static SupportedProtocolVersion) -> Client {
        Client::with(tls, &[version], &[])
    }

    pub fn with_alpn(tls: &Tls, protocols: &[&str]) -> Client {
        Client::with(tls, &[&TLS13, &TLS12], protocols)
    }

    fn with(
        tls: &Tls,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&tls.certificate_pem().unwrap()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Client(Arc::new(config))
    }

    /// Connects, for the name `localhost`.
    pub async fn connect(&self, addr: SocketAddr) -> Stream {
        let stream = self.try_connect(addr).await;
        stream.expect("the TLS handshake fails")
    }

    pub async fn try_connect(&self, addr: SocketAddr) -> io::Result<Stream> {
        self.try_connect_as("localhost", addr).await
    }

    pub async fn try_connect_as(&self, name: &'static str, addr: SocketAddr) -> io::Result<Stream> {
        let tcp = TcpStream::connect(addr).await?;
        self.handshake(name, tcp).await
    }

    /// Over a connection that is there already.
    pub async fn connect_over(&self, tcp: TcpStream) -> Stream {
        let stream = self.handshake("localhost", tcp).await;
        stream.expect("the TLS handshake fails")
    }

    async fn handshake(&self, name: &'static str, tcp: TcpStream) -> io::Result<Stream> {
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(name).unwrap();
        let connector = TlsConnector::from(self.0.clone());
        let connecting = connector.connect(name, Tap::new(tcp));
        let connected = timeout(DEADLINE, connecting).await;
        connected.expect("the TLS handshake hangs")
    }

    /// Connected, and through the opening handshake of a WebSocket.
    pub async fn open(&self, addr: SocketAddr) -> RawClient {
        self.open_tapped(addr).await.0
    }

    /// With what comes on the wire.
    pub async fn open_tapped(&self, addr: SocketAddr) -> (RawClient, Wire) {
        let stream = self.connect(addr).await;
        let wire = stream.get_ref().0.wire.clone();
        let mut client = over(stream);
        client.handshake(&[]).await;
        (client, wire)
    }
}

/// The raw client over TLS.
pub fn over(stream: Stream) -> RawClient {
    let tcp = &stream.get_ref().0.tcp;
    let (local, peer) = (tcp.local_addr().unwrap(), tcp.peer_addr().unwrap());
    let host = format!("localhost:{}", peer.port());
    RawClient::over(stream, host, Some(local))
}

/// A TCP stream that keeps the bytes that it has read.
#[derive(Debug)]
pub struct Tap {
    tcp: TcpStream,
    wire: Wire,
}

impl Tap {
    pub fn new(tcp: TcpStream) -> Tap {
        let wire = Wire::default();
        Tap { tcp, wire }
    }

    pub fn into_tcp(self) -> TcpStream {
        self.tcp
    }
}

/// The bytes that a server sent.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    /// The payload's length of each record of application data so far
    /// (RFC 8446 §5.1).
    pub fn records(&self) -> Vec<usize> {
        let bytes = self.0.lock().unwrap();
        let (mut rest, mut records) = (&bytes[..], Vec::new());
        while let [kind, _, _, high, low, behind @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(behind) = behind.get(length..) else {
                break;
            };
            rest = behind;
            if *kind == 23 {
                records.push(length);
            }
        }
        records
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buf);
        let mut wire = self.wire.0.lock().unwrap();
        wire.extend_from_slice(&buf.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
