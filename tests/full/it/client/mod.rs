//! `fetch` over TLS, against servers written by hand on rustls.
//! Does not treat what is the same without TLS: `tests/it` does.

mod http2;
#[path = "../../../it/client/raw_server.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod raw_server;
mod trust;
mod websocket;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use wsworker::{Client, ClientBuilder, Error, Request};

use self::raw_server::{Conn, RawServer};

/// A limit so short that a test can wait for it.
const SHORT: Duration = Duration::from_millis(200);

/// An authority, and what it says of itself.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        // Two of one name would be taken for each other.
        let name = format!("authority {}", rand::random::<u64>());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Authority { issuer, pem }
    }

    /// A server's settings, with a certificate for this name and these protocols
    /// to speak, the first of which that is offered is taken.
    fn config(&self, name: &str, protocols: &[&str]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(certificate.into(), &key, protocols)
    }

    /// A server of that certificate, which would speak HTTP/2 if it was let to.
    fn serve(&self, name: &str, serve: impl Fn(&mut Conn) + Send + Sync + 'static) -> RawServer {
        serve_with(self.config(name, &["http/1.1", "h2"]), serve)
    }

    /// A client that trusts it.
    fn client(&self) -> Client {
        self.build(|client| client)
    }

    fn build(&self, configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        let builder = Client::builder().root_certificate(&self.pem);
        configure(builder).build().unwrap()
    }
}

/// A server's settings with this certificate.
fn config(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    protocols: &[&str],
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    Arc::new(config)
}

fn serve_with(
    config: Arc<ServerConfig>,
    serve: impl Fn(&mut Conn) + Send + Sync + 'static,
) -> RawServer {
    let secure = move |stream: TcpStream| -> Box<dyn raw_server::Io> {
        let connection = ServerConnection::new(config.clone()).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    };
    RawServer::start_over(secure, serve)
}

/// The server under that name.
fn url(scheme: &str, name: &str, server: &RawServer) -> String {
    format!("{scheme}://{name}:{}/", server.addr.port())
}

/// Fetches, and wants an error.
async fn fails(client: &Client, request: impl Into<Request>) -> Error {
    match client.fetch(request).await {
        Ok(response) => panic!("wanted an error, got {response:?}"),
        Err(error) => error,
    }
}

/// Answers each request alike.
fn answering(answer: &'static str) -> impl Fn(&mut Conn) + Send + Sync + 'static {
    move |conn| {
        while conn.head().is_some() {
            conn.send(answer);
        }
    }
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
