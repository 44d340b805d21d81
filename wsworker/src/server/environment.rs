//! Settings from the environment: `WSWORKER_*`.
//! Does not read the process's environment itself; `run` hands it in.

use std::ffi::{OsStr, OsString};

use super::address::Address;
use super::proxies::Proxies;
use super::settings::{MIN_HEADER_SIZE, Settings};
#[cfg(feature = "tls")]
use super::tls::Tls;
use super::values::{TOO_LARGE, Wrong, all, number, size, time, time_or_zero};
use crate::connection::Slow;
use crate::error::{Error, Result};
use crate::protocol::handshake::{self, Origins};

impl Settings {
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
            if !value.is_empty()
                && let Err(wrong) = apply(self, value)
            {
                return Err(Error::config(wrong.explain(&name, value, wanted)));
            }
        }
        self.apply_data()?;
        self.apply_tls_files()
    }

    fn apply_data(&mut self) -> Result<()> {
        let Some(data) = self.data.take() else {
            return Ok(());
        };
        #[cfg(feature = "objects")]
        if self.objects.storage.is_some() {
            Err(Error::config(format!(
                "WSWORKER_DATA is set to '{}', but this program keeps its objects' state \
                 elsewhere: it calls Server::storage",
                data.display()
            )))
        } else {
            self.objects.data = Some(data);
            Ok(())
        }
        #[cfg(not(feature = "objects"))]
        Err(Error::config(format!(
            "WSWORKER_DATA is set to '{}', but this program was built without Durable Objects: \
             wsworker has them with the feature 'objects'",
            data.display()
        )))
    }

    /// TLS comes by two variables, of which one alone is a mistake.
    fn apply_tls_files(&mut self) -> Result<()> {
        let files = (self.tls_cert.take(), self.tls_key.take());
        let (set, missing) = match &files {
            (None, None) => return Ok(()),
            (None, Some(_)) => ("WSWORKER_TLS_KEY", "WSWORKER_TLS_CERT"),
            (Some(_), _) => ("WSWORKER_TLS_CERT", "WSWORKER_TLS_KEY"),
        };
        #[cfg(feature = "tls")]
        if let (Some(cert), Some(key)) = files {
            self.tls = Some(Tls::files(cert, key));
            return Ok(());
        }
        Err(Error::config(match cfg!(feature = "tls") {
            true => format!(
                "{set} is set and {missing} is not: TLS needs both, \
                 the certificate's file and its key's"
            ),
            false => format!(
                "{set} is set, but this program was built without TLS: \
                 wsworker has it with the feature 'tls'"
            ),
        }))
    }
}

/// Takes or refuses an environment, for the fuzz target.
#[cfg(fuzzing)]
pub(crate) fn judge(environment: impl IntoIterator<Item = (OsString, OsString)>) {
    let mut settings = Settings::default();
    if settings.apply(environment).is_ok() {
        let _ = settings.check();
    }
}

/// A variable: its name after the prefix, what it takes, and what it does.
type Variable = (
    &'static str,
    &'static str,
    fn(&mut Settings, &str) -> Result<(), Wrong>,
);

const VARIABLES: &[Variable] = &[
    (
        "ADDR",
        "addresses such as 127.0.0.1:8787,unix:/run/chat.sock",
        |s, v| put(&mut s.addresses, all(v, address)),
    ),
    ("MAX_MESSAGE", SIZE, |s, v| {
        put(&mut s.limits.max_message, size(v))
    }),
    ("MAX_BUFFERED", SIZE, |s, v| {
        put(&mut s.limits.max_buffered, size(v))
    }),
    ("SLOW", "close or drop", |s, v| {
        let slow = match v {
            "close" => Ok(Slow::Close),
            "drop" => Ok(Slow::Drop),
            _ => Err("is neither".into()),
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
    (
        "DRAIN_TIMEOUT",
        "a time such as 10s, 500ms or 0s",
        |s, v| put(&mut s.drain_timeout, time_or_zero(v)),
    ),
    (
        "PROTOCOLS",
        "subprotocols such as chat.v2,chat.v1",
        |s, v| {
            let names = strings(v, handshake::is_token, "is no token");
            put(&mut s.protocols, names)
        },
    ),
    (
        "ORIGINS",
        "origins such as https://a.example,https://b.example",
        |s, v| {
            let origins = strings(v, Origins::is_origin, "is no origin");
            put(&mut s.origins.listed, origins)
        },
    ),
    ("MAX_CONNECTIONS", NUMBER, |s, v| {
        put(&mut s.max_connections, number(v))
    }),
    ("MAX_CONNECTIONS_PER_ADDRESS", NUMBER, |s, v| {
        put(&mut s.max_connections_per_address, number(v).map(Some))
    }),
    (
        "TRUSTED_PROXIES",
        "networks such as 10.0.0.0/8,::1,unix",
        |s, v| {
            let is_proxy = |text: &str| Proxies::parse(&[text.to_owned()]).is_ok();
            put(
                &mut s.trusted_proxies,
                strings(v, is_proxy, "is no network"),
            )
        },
    ),
    (
        "MAX_HEADER_SIZE",
        "a size of at least 512, such as 16KiB",
        |s, v| {
            let size = size(v).and_then(|size| match size {
                ..MIN_HEADER_SIZE => Err("is too small".into()),
                _ => Ok(size),
            });
            put(&mut s.max_header_size, size)
        },
    ),
    ("MAX_BODY", SIZE, |s, v| put(&mut s.max_body, size(v))),
    ("THREADS", "a number from 1 to 1024", |s, v| {
        let threads = number(v).and_then(|threads| match threads {
            ..=MAX_THREADS => Ok(Some(threads)),
            _ => Err(TOO_LARGE.into()),
        });
        put(&mut s.threads, threads)
    }),
    ("DATA", "a directory", |s, v| {
        put(&mut s.data, Ok(Some(v.into())))
    }),
    ("TLS_CERT", "a path", |s, v| {
        put(&mut s.tls_cert, Ok(Some(v.into())))
    }),
    ("TLS_KEY", "a path", |s, v| {
        put(&mut s.tls_key, Ok(Some(v.into())))
    }),
];

const PREFIX: &str = "WSWORKER_";
const SIZE: &str = "a size above 0, such as 1MiB or 65536";
const TIME: &str = "a time above 0, such as 10s, 2m or 500ms";
const NUMBER: &str = "a number above 0, such as 1000";
/// More than any machine has cores; far fewer than what takes its memory.
const MAX_THREADS: usize = 1024;

fn put<T>(to: &mut T, from: Result<T, Wrong>) -> Result<(), Wrong> {
    *to = from?;
    Ok(())
}

fn address(text: &str) -> Result<Address, Wrong> {
    let address = Address::from(text);
    let wrong = address.wrong();
    wrong.map_or(Ok(address), |wrong| Err(wrong.into()))
}

/// The items of a list, if each is one.
fn strings(
    text: &str,
    is_one: impl Fn(&str) -> bool,
    is_none: &'static str,
) -> Result<Vec<String>, Wrong> {
    all(text, |text| match is_one(text) {
        true => Ok(text.to_owned()),
        false => Err(is_none.into()),
    })
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
    use std::time::Duration;

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
            ("WSWORKER_MAX_BODY", "3MiB"),
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
        assert_eq!(s.max_body, 3 << 20);
        assert_eq!(s.threads, Some(4));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn tls_needs_both_of_its_files() {
        let both = [
            ("WSWORKER_TLS_CERT", "a.pem"),
            ("WSWORKER_TLS_KEY", "b.pem"),
        ];
        let tls = apply(&both).unwrap().tls.unwrap();
        assert_eq!(format!("{tls:?}"), "Tls('a.pem', 'b.pem')");
        let wanted = "WSWORKER_TLS_CERT is set and WSWORKER_TLS_KEY is not: TLS needs both, \
                      the certificate's file and its key's";
        assert_eq!(error("WSWORKER_TLS_CERT", "a.pem"), wanted);
        let text = error("WSWORKER_TLS_KEY", "b.pem");
        let wanted = "WSWORKER_TLS_KEY is set and WSWORKER_TLS_CERT is not";
        assert!(text.starts_with(wanted), "{text}");
        let empty = [("WSWORKER_TLS_CERT", ""), ("WSWORKER_TLS_KEY", " ")];
        assert!(apply(&empty).unwrap().tls.is_none());
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_that_is_not_built_in_is_an_error_that_names_the_feature() {
        for name in ["WSWORKER_TLS_CERT", "WSWORKER_TLS_KEY"] {
            let wanted = format!(
                "{name} is set, but this program was built without TLS: \
                 wsworker has it with the feature 'tls'"
            );
            assert_eq!(error(name, "a.pem"), wanted);
        }
    }

    #[test]
    fn an_empty_variable_sets_nothing() {
        let s = apply(&[("WSWORKER_MAX_MESSAGE", " "), ("WSWORKER_ADDR", "")]).unwrap();
        assert_eq!(s.limits.max_message, 1 << 20);
        assert!(s.addresses.is_empty());
    }

    #[test]
    fn a_wrong_value_is_shown_with_what_is_wanted() {
        let addresses = "addresses such as 127.0.0.1:8787,unix:/run/chat.sock";
        let host = "names no host (127.0.0.1:80 is for this machine alone, 0.0.0.0:80 for every \
                    address of it)";
        let cases = [
            ("MAX_MESSAGE", "big", "is no size", SIZE),
            ("MAX_MESSAGE", "0", "is zero", SIZE),
            ("MAX_BUFFERED", "-1", "is negative", SIZE),
            ("IDLE_TIMEOUT", "10", "has no unit", TIME),
            ("FRAME_TIMEOUT", "0s", "is zero", TIME),
            (
                "DRAIN_TIMEOUT",
                "-1s",
                "is negative",
                "a time such as 10s, 500ms or 0s",
            ),
            ("SLOW", "Close", "is neither", "close or drop"),
            ("MAX_CONNECTIONS", "0", "is zero", NUMBER),
            ("THREADS", "0", "is zero", "a number from 1 to 1024"),
            ("THREADS", "1025", "is too large", "a number from 1 to 1024"),
            (
                "MAX_HEADER_SIZE",
                "511",
                "is too small",
                "a size of at least 512, such as 16KiB",
            ),
            ("ADDR", "80", host, addresses),
            ("ADDR", ":80", host, addresses),
        ];
        for (name, value, wrong, wanted) in cases {
            let name = format!("WSWORKER_{name}");
            let text = format!("{name}='{value}' {wrong}: wanted {wanted}");
            assert_eq!(error(&name, value), text);
        }
        let text = error("WSWORKER_PROTOCOLS", "a, b c");
        let wanted = "WSWORKER_PROTOCOLS='a, b c': 'b c' is no token: wanted subprotocols such as \
                      chat.v2,chat.v1";
        assert_eq!(text, wanted);
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
}
