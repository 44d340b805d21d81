//! The options of `#[durable_object]`, and what each of them takes.
//! Does not read values itself: `count`, `size` and `time` do.

use proc_macro2::TokenStream;
use syn::{Error, Lit, Path, Result};

use crate::option::Written;
use crate::options::{self, Options};
use crate::{count, size, text, time};

/// What the attribute of a struct said, checked. `None` is "not said".
#[derive(Default)]
pub(super) struct Settings {
    pub(super) name: Option<String>,
    /// In milliseconds.
    pub(super) hibernate_after: Option<u64>,
    /// In milliseconds.
    pub(super) event_timeout: Option<u64>,
    pub(super) sql: bool,
    /// A socket whose event failed stays open.
    pub(super) keeps_failed: bool,
    /// The fields of the limits that were said, and what each is.
    pub(super) limits: Vec<(&'static str, u64)>,
    pub(super) krate: Option<Path>,
    /// Everything that was wrong.
    pub(super) mistakes: Option<Error>,
}

/// What the attribute of an `impl` block said.
#[derive(Default)]
pub(super) struct BlockSettings {
    pub(super) krate: Option<Path>,
    /// Everything that was wrong.
    pub(super) mistakes: Option<Error>,
}

impl Settings {
    pub(super) fn parse(args: TokenStream) -> Settings {
        let mut settings = Settings::default();
        settings.mistakes = OPTIONS.read(args, |option, usage| settings.set(option, usage));
        settings
    }

    fn set(&mut self, option: &Written, usage: &str) -> Result<()> {
        let name = option.name.to_string();
        match name.as_str() {
            "name" => self.name = Some(class_name(option, usage)?),
            "hibernate_after" => self.hibernate_after = Some(time::parse(option, usage)?),
            "event_timeout" => self.event_timeout = Some(time::parse(option, usage)?),
            "sql" => {
                option.flag(usage)?;
                self.sql = true;
            }
            "failed" => self.keeps_failed = options::keeps_failed(option, usage)?,
            "crate" => self.krate = Some(options::path(option, usage)?),
            limit => self.limit(limit, option, usage)?,
        }
        Ok(())
    }

    fn limit(&mut self, name: &str, option: &Written, usage: &str) -> Result<()> {
        let limit = LIMITS.iter().find(|(known, ..)| name == *known);
        let (field, is_size, most) = limit.expect("every known option is set");
        let value = match is_size {
            true => size::parse(option, usage, *most)?,
            false => count::parse(option, usage, *most)?,
        };
        self.limits.push((field, value));
        Ok(())
    }
}

impl BlockSettings {
    pub(super) fn parse(args: TokenStream) -> BlockSettings {
        let mut settings = BlockSettings::default();
        settings.mistakes = ON_A_BLOCK.read(args, |option, usage| {
            settings.krate = Some(options::path(option, usage)?);
            Ok(())
        });
        settings
    }
}

fn class_name(option: &Written, usage: &str) -> Result<String> {
    let name = match option.literal(usage)? {
        Lit::Str(name) => name.value(),
        _ => return Err(option.wrong(&format!("a name is a string: write `{usage}`"))),
    };
    text::check_class_name(&name).map_err(|message| option.wrong(&message))?;
    Ok(name)
}

const OPTIONS: Options = Options {
    known: &[
        ("name", r#"name = "room""#),
        ("hibernate_after", r#"hibernate_after = "10s""#),
        ("event_timeout", r#"event_timeout = "30s""#),
        ("sql", "sql"),
        options::FAILED,
        ("max_sockets", "max_sockets = 32768"),
        ("max_tags", "max_tags = 10"),
        ("max_tag", "max_tag = 256"),
        ("max_attachment", r#"max_attachment = "16 KiB""#),
        ("max_key", r#"max_key = "2 KiB""#),
        ("max_value", r#"max_value = "2 MiB""#),
        ("max_calls", "max_calls = 1024"),
        ("max_held", r#"max_held = "64 MiB""#),
        options::CRATE,
    ],
    elsewhere: |_| None,
};

/// Each limit, whether it is a size in bytes, and the most that it may be.
const LIMITS: &[(&str, bool, u64)] = &[
    ("max_sockets", false, 1_000_000),
    ("max_tags", false, 1000),
    ("max_tag", true, 64 << 10),
    ("max_attachment", true, 16 << 20),
    ("max_key", true, 64 << 10),
    ("max_value", true, 8 << 20),
    ("max_calls", false, 1_000_000),
    ("max_held", true, 1 << 30),
];

const ON_A_BLOCK: Options = Options {
    known: &[options::CRATE],
    elsewhere: |name| {
        let mut on_the_struct = OPTIONS.known.iter();
        let (_, usage) = on_the_struct.find(|(known, _)| name == *known)?;
        Some(format!(
            "`{name}` is an option of the class: write `#[durable_object({usage})]` on the struct"
        ))
    },
};
