//! A client's settings: defaults, what changes them, what is wrong with them.

use std::time::Duration;

use http::HeaderValue;

use super::Client;
use super::redirect::Redirect;
use crate::connection::{Limits, Slow};
use crate::error::{Error, Result};

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) connect_timeout: Duration,
    pub(super) handshake_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) redirect: Redirect,
    pub(super) user_agent: HeaderValue,
    pub(super) max_body: usize,
    pub(super) pool_idle_timeout: Duration,
    pub(super) pool_max_idle: usize,
    pub(super) refuse_private_addresses: bool,
    /// Of its WebSockets.
    pub(super) limits: Limits,
    /// Root certificates beside the platform's.
    #[cfg(feature = "tls")]
    pub(super) roots: Vec<tokio_rustls::rustls::pki_types::CertificateDer<'static>>,
    /// Where everything leads, in a test.
    #[cfg(feature = "testing")]
    pub(super) place: Option<super::place::Way>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            redirect: Redirect::default(),
            user_agent: HeaderValue::from_static(concat!("wsworker/", env!("CARGO_PKG_VERSION"))),
            max_body: 16 << 20,
            pool_idle_timeout: Duration::from_secs(60),
            pool_max_idle: 32,
            refuse_private_addresses: false,
            limits: Limits {
                max_message: 1 << 20,
                max_buffered: 1 << 20,
                slow: Slow::Close,
                idle_timeout: Duration::from_secs(120),
                frame_timeout: Duration::from_secs(30),
                close_timeout: Duration::from_secs(5),
            },
            #[cfg(feature = "tls")]
            roots: Vec::new(),
            #[cfg(feature = "testing")]
            place: None,
        }
    }
}

/// The settings of a [`Client`] to be. Each has a default; a mistake in one is
/// the error of [`build`](Self::build).
#[derive(Default)]
#[must_use = "`build` makes the client"]
pub struct ClientBuilder {
    pub(super) settings: Settings,
    fault: Option<Error>,
}

impl ClientBuilder {
    /// How long a connection may take: name resolution and TCP, and as long again
    /// for TLS. Default: 10 s.
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.settings.connect_timeout = time;
        self
    }

    /// How long the answer to a request for a WebSocket may take, its head to the
    /// last byte, once connected. Default: 10 s.
    pub fn handshake_timeout(mut self, time: Duration) -> Self {
        self.settings.handshake_timeout = time;
        self
    }

    /// How long the head of the response to a plain request may take, from when
    /// the last part of the request was taken by the connection. Each redirect
    /// has as much. Default: 30 s.
    pub fn response_timeout(mut self, time: Duration) -> Self {
        self.settings.response_timeout = time;
        self
    }

    /// How long a response's body may pause before it fails; time in which nobody
    /// reads it does not count. Default: 60 s.
    pub fn body_timeout(mut self, time: Duration) -> Self {
        self.settings.body_timeout = time;
        self
    }

    /// What is done with a redirect of a plain request. Default: up to 10 are followed.
    pub fn redirect(mut self, redirect: Redirect) -> Self {
        self.settings.redirect = redirect;
        self
    }

    /// `User-Agent` of requests that have none. Default: `wsworker/` and its version.
    pub fn user_agent(mut self, name: &str) -> Self {
        match HeaderValue::from_str(name) {
            Ok(value) => self.settings.user_agent = value,
            Err(_) => self.fail(Error::config(format!(
                "user_agent {name:?} cannot be a header's value"
            ))),
        }
        self
    }

    /// How many bytes of a response's body are read as a whole; chunks come
    /// without a limit. [`ReadBody::max_body`](crate::ReadBody::max_body) sets it
    /// for one response. Default: 16 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// How long an unused connection is kept for the next plain request to the
    /// same server; zero keeps none. Default: 60 s.
    pub fn pool_idle_timeout(mut self, time: Duration) -> Self {
        self.settings.pool_idle_timeout = time;
        self
    }

    /// How many unused connections to one server are kept; 0 keeps none.
    /// Default: 32.
    pub fn pool_max_idle(mut self, connections: usize) -> Self {
        self.settings.pool_max_idle = connections;
        self
    }

    /// Refuses addresses that are not the public internet's, for a client that
    /// fetches what its users name: they could name what only this machine can
    /// reach. Default: false.
    ///
    /// Refused are loopback, private, link-local, unique-local, carrier-grade NAT,
    /// multicast, unspecified, documentation and reserved addresses, of IPv4 and
    /// IPv6, and IPv6 addresses that carry such an IPv4 one. The addresses that a
    /// name resolves to are judged, not the name, and only those are connected to;
    /// so too after a redirect, and for WebSockets.
    pub fn refuse_private_addresses(mut self, refuse: bool) -> Self {
        self.settings.refuse_private_addresses = refuse;
        self
    }

    /// Trusts servers with a certificate from this authority too, beside the
    /// platform's own: one or more certificates in PEM. Needs the feature `tls`.
    ///
    /// The variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name files and directories of
    /// certificates that are trusted in place of the platform's own.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn root_certificate(mut self, pem: impl AsRef<[u8]>) -> Self {
        match super::tls::certificates(pem.as_ref()) {
            Ok(roots) => self.settings.roots.extend(roots),
            Err(error) => self.fail(error),
        }
        self
    }

    /// The largest message that a WebSocket takes, in bytes. A larger one closes
    /// it with 1009. Default: 1 MiB.
    ///
    /// This and what follows, down to `close_timeout`, is for WebSockets that are
    /// accepted. One whose response is returned from a worker's `fetch` has the
    /// limits of the server that relays it.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.settings.limits.max_message = bytes;
        self
    }

    /// How many bytes may wait to be sent on a WebSocket before
    /// [`send`](crate::WebSocket::send) is an error. Default: 1 MiB.
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.settings.limits.max_buffered = bytes;
        self
    }

    /// What a broadcast does with a WebSocket that is full. Default: [`Slow::Close`].
    pub fn slow(mut self, slow: Slow) -> Self {
        self.settings.limits.slow = slow;
        self
    }

    /// A WebSocket's server that is silent for so long is gone; it is pinged after
    /// half of it. Default: 2 minutes.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.settings.limits.idle_timeout = time;
        self
    }

    /// How long a WebSocket's frame may take, or each 64 KiB of it. Default: 30 s.
    pub fn frame_timeout(mut self, time: Duration) -> Self {
        self.settings.limits.frame_timeout = time;
        self
    }

    /// How long the answer to a WebSocket's Close may take. Default: 5 s.
    pub fn close_timeout(mut self, time: Duration) -> Self {
        self.settings.limits.close_timeout = time;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// The first setting that cannot be one: see [`Error::is_config`].
    pub fn build(self) -> Result<Client> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.settings.check()?;
        Ok(Client::with(self.settings))
    }

    fn fail(&mut self, fault: Error) {
        self.fault.get_or_insert(fault);
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder").finish_non_exhaustive()
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let limits = &self.limits;
        let sizes = [
            ("max_body", self.max_body),
            ("max_message", limits.max_message),
            ("max_buffered", limits.max_buffered),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::config(format!("{name} must be more than 0")));
        }
        let times = [
            ("connect_timeout", self.connect_timeout),
            ("handshake_timeout", self.handshake_timeout),
            ("response_timeout", self.response_timeout),
            ("body_timeout", self.body_timeout),
            ("idle_timeout", limits.idle_timeout),
            ("frame_timeout", limits.frame_timeout),
            ("close_timeout", limits.close_timeout),
        ];
        match times.iter().find(|(_, time)| time.is_zero()) {
            Some((name, _)) => Err(Error::config(format!(
                "{name} must be more than 0; a very long one switches it off"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(builder: ClientBuilder) -> String {
        let error = builder.build().unwrap_err();
        assert!(error.is_config());
        error.to_string()
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let builder = Client::builder;
        assert_eq!(wrong(builder().max_body(0)), "max_body must be more than 0");
        let text = wrong(builder().connect_timeout(Duration::ZERO));
        assert!(text.starts_with("connect_timeout must be more than 0"));
        let text = wrong(builder().user_agent("a\n"));
        assert_eq!(text, r#"user_agent "a\n" cannot be a header's value"#);
        builder().build().unwrap();
    }
}
