//! The options of `#[worker]`, and what each of them takes.
//! Does not read values itself: `size`, `time`, `text` and `origin` do.

use proc_macro2::TokenStream;
use syn::{Error, Path, Result};

use crate::option::{Choice, Written, add};
use crate::options::{self, Options};
use crate::{origin, size, text, time};

/// What the attribute said, checked. `None` is "not said".
#[derive(Default)]
pub(crate) struct Settings {
    /// In bytes.
    pub(crate) max_message: Option<u64>,
    /// In bytes.
    pub(crate) max_buffered: Option<u64>,
    pub(crate) slow: Option<Slow>,
    /// A socket whose callback failed stays open.
    pub(crate) keeps_failed: bool,
    /// In milliseconds.
    pub(crate) idle_timeout: Option<u64>,
    /// In milliseconds.
    pub(crate) handshake_timeout: Option<u64>,
    pub(crate) protocols: Option<Vec<String>>,
    pub(crate) origins: Option<Vec<String>>,
    pub(crate) objects: Option<Vec<Path>>,
    pub(crate) krate: Option<Path>,
    /// Everything that was wrong.
    pub(crate) mistakes: Option<Error>,
}

/// What a broadcast does with a peer whose queue is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Slow {
    Close,
    Drop,
}

impl Settings {
    pub(crate) fn parse(args: TokenStream) -> Settings {
        let mut settings = Settings::default();
        settings.mistakes = OPTIONS.read(args, |option, usage| settings.set(option, usage));
        settings
    }

    fn set(&mut self, option: &Written, usage: &str) -> Result<()> {
        let name = option.name.to_string();
        match name.as_str() {
            "max_message" => {
                self.max_message = Some(size::parse(option, usage, size::MAX_MESSAGE)?);
            }
            "max_buffered" => {
                self.max_buffered = Some(size::parse(option, usage, size::MAX_BUFFERED)?);
            }
            "slow" => self.slow = Some(option.choice(usage, &SLOW)?),
            "failed" => self.keeps_failed = options::keeps_failed(option, usage)?,
            "idle_timeout" => self.idle_timeout = Some(time::parse(option, usage)?),
            "handshake_timeout" => self.handshake_timeout = Some(time::parse(option, usage)?),
            "protocols" => self.protocols = Some(list(option, usage, text::check_token)?),
            "origins" => self.origins = Some(list(option, usage, origin::check)?),
            "objects" => self.objects = Some(objects(option, usage)?),
            "crate" => self.krate = Some(options::path(option, usage)?),
            _ => unreachable!("every known option is set"),
        }
        Ok(())
    }
}

/// Strings that pass `check`, without doubles.
fn list(
    option: &Written,
    usage: &str,
    check: fn(&str) -> std::result::Result<(), String>,
) -> Result<Vec<String>> {
    let mut values = Vec::new();
    let mut mistakes = None;
    for string in option.strings(usage)? {
        let value = string.value();
        if let Err(message) = check(&value) {
            add(&mut mistakes, Error::new(string.span(), message));
        } else if values.contains(&value) {
            let message = format!("`{value}` is listed twice: keep one");
            add(&mut mistakes, Error::new(string.span(), message));
        } else {
            values.push(value);
        }
    }
    mistakes.map_or(Ok(values), Err)
}

/// Types, without doubles.
fn objects(option: &Written, usage: &str) -> Result<Vec<Path>> {
    let mut types: Vec<Path> = Vec::new();
    let mut mistakes = None;
    for ty in option.types(usage)? {
        if types
            .iter()
            .any(|listed| text::of_code(listed) == text::of_code(&ty))
        {
            let message = format!("`{}` is listed twice: keep one", text::of_code(&ty));
            add(&mut mistakes, Error::new_spanned(ty, message));
        } else {
            types.push(ty);
        }
    }
    mistakes.map_or(Ok(types), Err)
}

const SLOW: [Choice<Slow>; 2] = [
    ("close", "close a slow peer with 1013", Slow::Close),
    ("drop", "drop a broadcast for it", Slow::Drop),
];

/// Every option, and how it is written.
const OPTIONS: Options = Options {
    known: &[
        ("max_message", r#"max_message = "1 MiB""#),
        ("max_buffered", r#"max_buffered = "1 MiB""#),
        ("slow", r#"slow = "close""#),
        options::FAILED,
        ("idle_timeout", r#"idle_timeout = "2m""#),
        ("handshake_timeout", r#"handshake_timeout = "10s""#),
        ("protocols", r#"protocols("chat.v1")"#),
        ("origins", r#"origins("https://a.example")"#),
        ("objects", "objects(Room)"),
        options::CRATE,
    ],
    elsewhere: |name| {
        ON_THE_SERVER
            .contains(&name)
            .then(|| format!("`{name}` is set on the server: write `Server::new(...).{name}(...)`"))
    },
};

/// What belongs to a deployment rather than to a worker, and is a method of `Server` only.
const ON_THE_SERVER: [&str; 15] = [
    "accept_any_origin",
    "bind",
    "close_timeout",
    "data",
    "drain_timeout",
    "frame_timeout",
    "max_body",
    "max_connections",
    "max_connections_per_address",
    "max_header_size",
    "secret",
    "storage",
    "tls",
    "trusted_proxies",
    "var",
];
