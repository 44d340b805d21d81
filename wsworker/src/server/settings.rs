//! A server's settings: defaults, what overrides them, what is wrong with them.
//! Does not read the process's environment itself; `run` hands it in.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use bytesize::ByteSize;

use super::address::Address;
use crate::connection::{Limits, Slow};
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
    /// `run` only; as many as there are cores if none.
    pub(super) threads: Option<usize>,
    /// Variables for `Env`.
    pub(super) vars: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            limits: Limits {
                max_message: 1 << 20,
                max_buffered: 1 << 20,
                slow: Slow::Close,
                idle_timeout: Duration::from_secs(120),
                frame_timeout: Duration::from_secs(30),
                close_timeout: Duration::from_secs(5),
            },
            handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            protocols: Vec::new(),
            origins: Origins::default(),
            max_connections: 1_000_000,
            max_connections_per_address: None,
            trusted_proxies: Vec::new(),
            max_header_size: 16 << 10,
            threads: None,
            vars: Vec::new(),
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
        settings
    }

    /// Overrides what the environment's `WSWORKER_*` set. One that is unknown
    /// is an error, since it is a typing error whose effect would be missed.
    pub(super) fn apply(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<()> {
        for (name, value) in environment {
            let name = name.to_string_lossy();
            let Some(setting) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if is_kubernetes(setting, &value) {
                continue;
            }
            let Some(value) = value.to_str() else {
                return Err(Error::config(format!("{name} is not UTF-8")));
            };
            let Some((_, wanted, apply)) = VARIABLES.iter().find(|v| v.0 == setting) else {
                return Err(unknown(&name, setting));
            };
            let value = value.trim();
            // As `docker compose` and the like leave what is not set.
            if !value.is_empty() && apply(self, value).is_none() {
                return Err(Error::config(format!("{name}='{value}': wanted {wanted}")));
            }
        }
        Ok(())
    }

    /// Finds what cannot work.
    pub(super) fn check(&self) -> Result<()> {
        let limits = &self.limits;
        let positive = [
            ("max_message", limits.max_message),
            ("max_buffered", limits.max_buffered),
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address.unwrap_or(1),
            ),
            ("threads", self.threads.unwrap_or(1)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::config(format!("{name} must be more than 0")));
        }
        let times = [
            ("idle_timeout", limits.idle_timeout),
            ("frame_timeout", limits.frame_timeout),
            ("close_timeout", limits.close_timeout),
            ("handshake_timeout", self.handshake_timeout),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(Error::config(format!(
                "{name} must be more than 0; a very long one switches it off"
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

/// A variable: its name after the prefix, what it takes, and what it does;
/// `None` if it does not take the text.
type Variable = (
    &'static str,
    &'static str,
    fn(&mut Settings, &str) -> Option<()>,
);

const VARIABLES: &[Variable] = &[
    (
        "ADDR",
        "addresses such as 127.0.0.1:8787,unix:/run/chat.sock",
        |s, v| {
            s.addresses = list(v).map(Address::from).collect();
            Some(())
        },
    ),
    ("MAX_MESSAGE", SIZE, |s, v| {
        put(&mut s.limits.max_message, size(v))
    }),
    ("MAX_BUFFERED", SIZE, |s, v| {
        put(&mut s.limits.max_buffered, size(v))
    }),
    ("SLOW", "close or drop", |s, v| {
        let slow = match v {
            "close" => Some(Slow::Close),
            "drop" => Some(Slow::Drop),
            _ => None,
        };
        put(&mut s.limits.slow, slow)
    }),
    ("IDLE_TIMEOUT", TIME, |s, v| {
        put(&mut s.limits.idle_timeout, time(v))
    }),
    ("HANDSHAKE_TIMEOUT", TIME, |s, v| {
        put(&mut s.handshake_timeout, time(v))
    }),
    ("FRAME_TIMEOUT", TIME, |s, v| {
        put(&mut s.limits.frame_timeout, time(v))
    }),
    ("CLOSE_TIMEOUT", TIME, |s, v| {
        put(&mut s.limits.close_timeout, time(v))
    }),
    ("DRAIN_TIMEOUT", TIME, |s, v| {
        put(&mut s.drain_timeout, time(v))
    }),
    (
        "PROTOCOLS",
        "subprotocols such as chat.v2,chat.v1",
        |s, v| {
            s.protocols = list(v).map(str::to_owned).collect();
            Some(())
        },
    ),
    (
        "ORIGINS",
        "origins such as https://a.example,https://b.example",
        |s, v| {
            s.origins.listed = list(v).map(str::to_owned).collect();
            Some(())
        },
    ),
    ("MAX_CONNECTIONS", NUMBER, |s, v| {
        put(&mut s.max_connections, v.parse().ok())
    }),
    ("MAX_CONNECTIONS_PER_ADDRESS", NUMBER, |s, v| {
        put(&mut s.max_connections_per_address, v.parse().ok().map(Some))
    }),
    (
        "TRUSTED_PROXIES",
        "networks such as 10.0.0.0/8,::1,unix",
        |s, v| {
            s.trusted_proxies = list(v).map(str::to_owned).collect();
            Some(())
        },
    ),
    ("MAX_HEADER_SIZE", SIZE, |s, v| {
        put(&mut s.max_header_size, size(v))
    }),
    ("THREADS", NUMBER, |s, v| {
        put(&mut s.threads, v.parse().ok().map(Some))
    }),
];

const PREFIX: &str = "WSWORKER_";
const SIZE: &str = "a size such as 1MiB or 65536";
const TIME: &str = "a time such as 10s, 2m or 500ms";
const NUMBER: &str = "a number such as 1000";

/// What a browser sends at the very least.
const MIN_HEADER_SIZE: usize = 512;

fn set<T>(to: &mut T, from: Option<T>) {
    if let Some(value) = from {
        *to = value;
    }
}

fn put<T>(to: &mut T, from: Option<T>) -> Option<()> {
    *to = from?;
    Some(())
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|t| !t.is_empty())
}

fn size(text: &str) -> Option<usize> {
    let ByteSize(bytes) = text.parse().ok()?;
    bytes.try_into().ok()
}

fn time(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok()
}

/// Kubernetes and Docker's links tell a container of each service by variables
/// with the service's name, and a service may well have ours.
fn is_kubernetes(setting: &str, value: &OsStr) -> bool {
    setting.starts_with("SERVICE_")
        || setting.starts_with("PORT_")
        || (setting == "PORT" && value.to_string_lossy().contains("://"))
}

fn unknown(name: &str, setting: &str) -> Error {
    let near = VARIABLES
        .iter()
        .map(|(known, ..)| (distance(setting, known), *known))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = match near {
        Some((_, known)) => format!("did you mean {PREFIX}{known}?"),
        None => {
            let names: Vec<_> = VARIABLES.iter().map(|(known, ..)| *known).collect();
            format!("known after {PREFIX} are {}", names.join(", "))
        }
    };
    Error::config(format!("{name} is not a setting; {hint}"))
}

/// How many letters must be changed, added or removed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let changed = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(vars: &[(&str, &str)]) -> Result<Settings> {
        let mut settings = Settings::default();
        let vars = vars.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        settings.apply(vars)?;
        settings.check()?;
        Ok(settings)
    }

    fn error(name: &str, value: &str) -> String {
        let error = apply(&[(name, value)]).unwrap_err();
        assert!(error.is_config());
        error.to_string()
    }

    #[test]
    fn every_variable_sets_its_own() {
        let s = apply(&[
            ("PATH", "/bin"),
            ("WSWORKER_ADDR", "127.0.0.1:1, unix:/run/x"),
            ("WSWORKER_MAX_MESSAGE", "32MiB"),
            ("WSWORKER_MAX_BUFFERED", "65536"),
            ("WSWORKER_SLOW", "drop"),
            ("WSWORKER_IDLE_TIMEOUT", "2m"),
            ("WSWORKER_HANDSHAKE_TIMEOUT", "500ms"),
            ("WSWORKER_FRAME_TIMEOUT", "1s"),
            ("WSWORKER_CLOSE_TIMEOUT", "2s"),
            ("WSWORKER_DRAIN_TIMEOUT", "3s"),
            ("WSWORKER_PROTOCOLS", "b, a"),
            ("WSWORKER_ORIGINS", "https://a.example"),
            ("WSWORKER_MAX_CONNECTIONS", "7"),
            ("WSWORKER_MAX_CONNECTIONS_PER_ADDRESS", "3"),
            ("WSWORKER_TRUSTED_PROXIES", "unix"),
            ("WSWORKER_MAX_HEADER_SIZE", "8KiB"),
            ("WSWORKER_THREADS", "4"),
        ])
        .unwrap();
        let (ms, limits) = (Duration::from_millis, &s.limits);
        assert_eq!(
            s.addresses,
            [Address::from("127.0.0.1:1"), "unix:/run/x".into()]
        );
        assert_eq!(limits.max_message, 32 << 20);
        assert_eq!(limits.max_buffered, 65536);
        assert_eq!(limits.slow, Slow::Drop);
        assert_eq!(limits.idle_timeout, ms(120_000));
        assert_eq!(limits.frame_timeout, ms(1000));
        assert_eq!(limits.close_timeout, ms(2000));
        assert_eq!(s.handshake_timeout, ms(500));
        assert_eq!(s.drain_timeout, ms(3000));
        assert_eq!(s.protocols, ["b", "a"]);
        assert_eq!(s.origins.listed, ["https://a.example"]);
        assert_eq!(s.max_connections, 7);
        assert_eq!(s.max_connections_per_address, Some(3));
        assert_eq!(s.trusted_proxies, ["unix"]);
        assert_eq!(s.max_header_size, 8 << 10);
        assert_eq!(s.threads, Some(4));
    }

    #[test]
    fn an_empty_variable_sets_nothing() {
        let s = apply(&[("WSWORKER_MAX_MESSAGE", " "), ("WSWORKER_ADDR", "")]).unwrap();
        assert_eq!(s.limits.max_message, 1 << 20);
        assert!(s.addresses.is_empty());
    }

    #[test]
    fn a_wrong_value_is_shown_with_what_is_wanted() {
        let cases = [
            ("WSWORKER_MAX_MESSAGE", "big", SIZE),
            ("WSWORKER_MAX_MESSAGE", "-1", SIZE),
            ("WSWORKER_IDLE_TIMEOUT", "10", TIME),
            ("WSWORKER_SLOW", "Close", "close or drop"),
            ("WSWORKER_THREADS", "many", NUMBER),
        ];
        for (name, value, wanted) in cases {
            let text = format!("{name}='{value}': wanted {wanted}");
            assert_eq!(error(name, value), text);
        }
        assert_eq!(
            error("WSWORKER_THREADS", "0"),
            "threads must be more than 0"
        );
        assert!(error("WSWORKER_PROTOCOLS", "a b").starts_with("subprotocol 'a b'"));
        assert!(error("WSWORKER_ORIGINS", "a.example").starts_with("origin 'a.example'"));
        assert!(error("WSWORKER_ORIGINS", "*").contains("accept_any_origin"));
    }

    #[test]
    fn an_unknown_variable_is_an_error_with_a_guess() {
        assert_eq!(
            error("WSWORKER_MAX_MESAGE", "1"),
            "WSWORKER_MAX_MESAGE is not a setting; did you mean WSWORKER_MAX_MESSAGE?"
        );
        let far = error("WSWORKER_COLOUR_SCHEME", "1");
        assert!(far.contains("known after WSWORKER_ are ADDR, "), "{far}");
    }

    #[test]
    fn a_service_of_our_name_is_no_setting() {
        apply(&[
            ("WSWORKER_SERVICE_HOST", "10.0.0.1"),
            ("WSWORKER_PORT", "tcp://10.0.0.1:80"),
            ("WSWORKER_PORT_80_TCP_ADDR", "10.0.0.1"),
        ])
        .unwrap();
        assert!(error("WSWORKER_PORT", "80").contains("not a setting"));
    }

    #[test]
    fn the_defaults_are_right() {
        Settings::default().check().unwrap();
    }
}
