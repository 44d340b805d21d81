//! Opens connections: names resolved, addresses judged, TCP (IPv6 and IPv4 by turns), then TLS.
//! Does not speak HTTP and keeps no connection; `pool` does.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec;

use http::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::{self, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::address::not_public;
use super::heard::Heard;
use super::settings::Settings;
use super::target::Target;
use crate::connection::Stream;
use crate::error::{Error, Fault};

/// Opens connections for one client.
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    /// For TCP with the name's resolution, and again for TLS.
    timeout: Duration,
    refuse_private: bool,
    #[cfg(feature = "tls")]
    tls: super::tls::Tls,
    /// Where everything leads, in a test.
    #[cfg(feature = "testing")]
    place: Option<super::place::Way>,
}

/// What a connection is to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speak {
    /// HTTP/1.1, which alone can be upgraded.
    Http1,
    /// HTTP/2 too, if the server prefers it.
    Any,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    text: String,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Self {
        let resolver = Resolver {
            refuse_private: settings.refuse_private_addresses,
        };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Here too, where it is shared out among a name's addresses.
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        Self {
            tcp,
            timeout: settings.connect_timeout,
            refuse_private: settings.refuse_private_addresses,
            #[cfg(feature = "tls")]
            tls: super::tls::Tls::new(settings),
            #[cfg(feature = "testing")]
            place: settings.place.clone(),
        }
    }

    /// A connection to where `uri` leads, of a [`Target`].
    ///
    /// A dropped call leaves nothing behind.
    pub(super) async fn connect(&self, uri: &Uri, speak: Speak) -> Result<Stream, Failure> {
        #[cfg(feature = "testing")]
        if let Some(place) = &self.place {
            return match timeout(self.timeout, place.connect(uri)).await {
                Ok(stream) => stream,
                Err(_) => Err(self.too_slow("test")),
            };
        }
        let host = uri.host().unwrap_or_default();
        let tcp = match timeout(self.timeout, self.tcp(host, uri)).await {
            Ok(tcp) => tcp?,
            Err(_) => return Err(self.too_slow("TCP")),
        };
        if uri.scheme_str() != Some("https") {
            return Ok(Stream::Tcp(tcp));
        }
        self.secure(host, tcp, speak).await
    }

    async fn tcp(&self, host: &str, uri: &Uri) -> Result<TcpStream, Failure> {
        // The resolver does not see what is no name.
        if self.refuse_private
            && let Ok(address) = bare(host).parse()
        {
            judge(host, address)?;
        }
        let connecting = self.tcp.clone().call(uri.clone());
        let tcp = connecting.await.map_err(|e| self.of_tcp(&e))?.into_inner();
        // Whatever led here: no byte goes to an address that was not judged.
        if self.refuse_private {
            let address = tcp.peer_addr().map_err(|e| Failure::other(e.to_string()))?;
            judge(host, address.ip())?;
        }
        Ok(tcp)
    }

    fn of_tcp(&self, error: &(dyn StdError + 'static)) -> Failure {
        let mut source = Some(error);
        while let Some(error) = source {
            if let Some(failure) = error.downcast_ref::<Failure>() {
                return failure.clone();
            }
            if let Some(error) = error.downcast_ref::<io::Error>()
                && error.kind() == io::ErrorKind::TimedOut
            {
                return self.too_slow("TCP");
            }
            source = error.source();
        }
        Failure::other(chain(error))
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, host: &str, tcp: TcpStream, speak: Speak) -> Result<Stream, Failure> {
        match timeout(self.timeout, self.tls.connect(bare(host), tcp, speak)).await {
            Ok(stream) => stream,
            Err(_) => Err(self.too_slow("TLS")),
        }
    }

    #[cfg(not(feature = "tls"))]
    async fn secure(&self, _: &str, _: TcpStream, _: Speak) -> Result<Stream, Failure> {
        unreachable!("a target of https is refused without the feature `tls`")
    }

    fn too_slow(&self, what: &str) -> Failure {
        Failure {
            fault: Fault::Timeout,
            text: format!(
                "no {what} connection within {:?} (connect_timeout)",
                self.timeout
            ),
        }
    }
}

impl Failure {
    pub(super) fn other(text: String) -> Self {
        Self {
            fault: Fault::Other,
            text,
        }
    }

    /// The one that is the cause of an error, if one is.
    pub(super) fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut source = Some(error);
        while let Some(error) = source {
            if let Some(failure) = error.downcast_ref() {
                return Some(failure);
            }
            source = error.source();
        }
        None
    }

    pub(super) fn at(&self, target: &Target) -> Error {
        let text = &self.text;
        let message = match self.fault {
            Fault::PrivateAddress => format!("{target} is refused: {text}"),
            _ => format!("cannot connect to {target}: {text}"),
        };
        Error::fetch(self.fault, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Failure {}

/// An error with all that led to it.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Resolves names to addresses that may be connected to.
#[derive(Clone)]
struct Resolver {
    refuse_private: bool,
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let refuse_private = self.refuse_private;
        Box::pin(async move {
            let found = GaiResolver::new().call(name.clone()).await?;
            let mut refused = None;
            let mut allowed = Vec::new();
            for address in found {
                match judge(name.as_str(), address.ip()) {
                    Err(failure) if refuse_private => refused = Some(failure),
                    _ => allowed.push(address),
                }
            }
            match refused {
                Some(failure) if allowed.is_empty() => Err(failure.into()),
                _ => Ok(allowed.into_iter()),
            }
        })
    }
}

fn judge(host: &str, address: IpAddr) -> Result<(), Failure> {
    let Some(kind) = not_public(address) else {
        return Ok(());
    };
    Err(Failure {
        fault: Fault::PrivateAddress,
        text: format!("'{host}' is {address} ({kind}), and refuse_private_addresses is set"),
    })
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// The connector as hyper's pool asks for it.
#[derive(Clone)]
pub(super) struct Dial(pub(super) Arc<Connector>);

impl Service<Uri> for Dial {
    type Response = TokioIo<Heard<Stream>>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let stream = connector.connect(&uri, Speak::Any).await?;
            Ok(TokioIo::new(Heard::new(stream)))
        })
    }
}

impl connect::Connection for Stream {
    fn connected(&self) -> connect::Connected {
        let connected = connect::Connected::new();
        #[cfg(feature = "tls")]
        if let Stream::Tls(stream) = self
            && stream.protocol() == Some(b"h2")
        {
            return connected.negotiated_h2();
        }
        connected
    }
}
