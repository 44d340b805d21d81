//! The options of `#[durable_object]`, and what each of them takes.
//! Does not read times itself: `time` does.

use proc_macro2::TokenStream;
use syn::{Error, Lit, Path, Result};

use crate::option::Written;
use crate::options::{self, Options};
use crate::{text, time};

/// What the attribute of a struct said, checked. `None` is "not said".
#[derive(Default)]
pub(super) struct Settings {
    pub(super) name: Option<String>,
    /// In milliseconds.
    pub(super) hibernate_after: Option<u64>,
    /// In milliseconds.
    pub(super) event_timeout: Option<u64>,
    pub(super) sql: bool,
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
            "crate" => self.krate = Some(options::path(option, usage)?),
            _ => unreachable!("every known option is set"),
        }
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
        options::CRATE,
    ],
    elsewhere: |_| None,
};

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
