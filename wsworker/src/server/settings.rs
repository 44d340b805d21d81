//! A server's settings: defaults, what overrides them, what is wrong with them.
//! Does not know the environment's variables; those are `environment`'s.

use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
#[cfg(feature = "objects")]
use super::objects::Objects;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::connection::Limits;
use crate::env::Secret;
use crate::error::{Error, Result};
use crate::protocol::handshake::{self, Origins};
use crate::worker::Options;

/// Every setting. The attribute's options, the methods of `Server` and the
/// environment write to it in this order, so the later one counts.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) addresses: Vec<Address>,
    pub(super) limits: Limits,
    pub(super) handshake_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) protocols: Vec<String>,
    pub(super) origins: Origins,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: Option<usize>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) max_header_size: usize,
    pub(super) max_body: usize,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
    /// `run` only: files for it.
    pub(super) tls_cert: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    /// `run` only: the directory of objects' state.
    pub(super) data: Option<PathBuf>,
    /// `run` only; as many as there are cores if none.
    pub(super) threads: Option<usize>,
    /// Durable Objects.
    #[cfg(feature = "objects")]
    pub(super) objects: Objects,
    /// Variables for `Env`.
    pub(super) vars: Vec<(String, String)>,
    /// Secrets for `Env`.
    pub(super) secrets: Vec<(String, Secret)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            limits: Limits::default(),
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            protocols: Vec::new(),
            origins: Origins::default(),
            max_connections: 1_000_000,
            max_connections_per_address: None,
            trusted_proxies: Vec::new(),
            max_header_size: 16 << 10,
            max_body: 1 << 20,
            #[cfg(feature = "tls")]
            tls: None,
            tls_cert: None,
            tls_key: None,
            data: None,
            threads: None,
            #[cfg(feature = "objects")]
            objects: Objects::default(),
            vars: Vec::new(),
            secrets: Vec::new(),
        }
    }
}

impl Settings {
    /// The defaults under a worker's own options.
    pub(super) fn of(options: &Options) -> Self {
        let mut settings = Self::default();
        let limits = &mut settings.limits;
        set(&mut limits.max_message, options.max_message);
        set(&mut limits.max_buffered, options.max_buffered);
        set(&mut limits.slow, options.slow);
        set(&mut limits.idle_timeout, options.idle_timeout);
        set(&mut settings.handshake_timeout, options.handshake_timeout);
        settings.protocols = strings(options.protocols);
        settings.origins.listed = strings(options.origins);
        #[cfg(feature = "objects")]
        settings.objects.classes.extend(options.objects);
        settings
    }

    /// Finds what cannot work.
    pub(super) fn check(&self) -> Result<()> {
        let limits = &self.limits;
        let positive = [
            ("max_message", limits.max_message),
            ("max_buffered", limits.max_buffered),
            ("max_body", self.max_body),
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address.unwrap_or(1),
            ),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::config(format!("{name} must be more than 0, got 0")));
        }
        let times = [
            ("idle_timeout", limits.idle_timeout),
            ("frame_timeout", limits.frame_timeout),
            ("close_timeout", limits.close_timeout),
            ("handshake_timeout", self.handshake_timeout),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(Error::config(format!(
                "{name} must be more than 0, got 0; a very long one switches it off"
            )));
        }
        if self.max_header_size < MIN_HEADER_SIZE {
            return Err(Error::config(format!(
                "max_header_size must be at least {MIN_HEADER_SIZE}, got {}: \
                 a browser's request would not fit",
                self.max_header_size
            )));
        }
        if let Some(name) = self.protocols.iter().find(|p| !handshake::is_token(p)) {
            return Err(Error::config(format!(
                "subprotocol '{name}' is not a token: wanted letters, digits and \
                 the like, without spaces or commas"
            )));
        }
        let listed = &self.origins.listed;
        match listed.iter().find(|text| !Origins::is_origin(text)) {
            Some(text) if text == "*" => Err(Error::config(
                "origin '*': to accept any origin, call Server::accept_any_origin",
            )),
            Some(text) => Err(Error::config(format!(
                "origin '{text}': wanted a scheme, a host and perhaps a port, \
                 as in https://chat.example"
            ))),
            None => Ok(()),
        }
    }
}

/// What a browser sends at the very least.
pub(super) const MIN_HEADER_SIZE: usize = 512;

fn set<T>(to: &mut T, from: Option<T>) {
    if let Some(value) = from {
        *to = value;
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_methods_set_is_checked_too() {
        let wrong = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err().to_string()
        };
        let text = wrong(|s| s.limits.max_message = 0);
        assert_eq!(text, "max_message must be more than 0, got 0");
        let text = wrong(|s| s.limits.idle_timeout = Duration::ZERO);
        assert!(text.starts_with("idle_timeout must be more than 0, got 0; "));
        let text = wrong(|s| s.protocols = vec!["a b".into()]);
        assert!(text.starts_with("subprotocol 'a b'"));
        let text = wrong(|s| s.origins.listed = vec!["a.example".into()]);
        assert!(text.starts_with("origin 'a.example'"));
        let text = wrong(|s| s.origins.listed = vec!["*".into()]);
        assert!(text.contains("accept_any_origin"));
        let text = wrong(|s| s.max_header_size = 100);
        assert!(text.contains("at least 512, got 100"));
    }

    #[test]
    fn the_defaults_are_right() {
        Settings::default().check().unwrap();
    }
}
