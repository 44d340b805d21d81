//! Options by their names: which there are, and which were written.
//! Does not know what a name means: each attribute's `settings` does.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Lit, Path, Result};

use crate::option::{Choice, Written, add};
use crate::text;

/// The options of one attribute.
pub(crate) struct Options {
    /// Every name, and how the option is written.
    pub(crate) known: &'static [(&'static str, &'static str)],
    /// What to say of a name that means something elsewhere.
    pub(crate) elsewhere: fn(&str) -> Option<String>,
}

impl Options {
    /// Gives each option and how it is written to `set`, and everything that was wrong back.
    pub(crate) fn read(
        &self,
        args: TokenStream,
        mut set: impl FnMut(&Written, &'static str) -> Result<()>,
    ) -> Option<Error> {
        let mut mistakes = None;
        let mut seen = Vec::new();
        let (_, example) = self.known[0];
        for option in Written::all(args, example) {
            let result = option.and_then(|option| {
                let name = option.name.to_string();
                let usage = self.usage(&option)?;
                if seen.contains(&name) {
                    return Err(twice(&option, usage));
                }
                seen.push(name);
                set(&option, usage)
            });
            if let Err(error) = result {
                add(&mut mistakes, error);
            }
        }
        mistakes
    }

    /// The option as it should be written, or that there is no such option.
    fn usage(&self, option: &Written) -> Result<&'static str> {
        let name = option.name.to_string();
        let mut known = self.known.iter();
        if let Some((_, usage)) = known.find(|(known, _)| name == *known) {
            return Ok(usage);
        }
        if let Some(message) = (self.elsewhere)(&name) {
            return Err(Error::new(option.name.span(), message));
        }
        let known = self.known.iter().map(|(known, _)| *known);
        let mut message = match text::closest(&name, known.clone()) {
            Some(like) => format!("unknown option `{name}`, did you mean `{like}`?"),
            None => format!("unknown option `{name}`"),
        };
        let known: Vec<_> = known.map(|known| format!("`{known}`")).collect();
        message += &format!("\nexpected one of {}", known.join(", "));
        Err(Error::new(option.name.span(), message))
    }
}

/// How the option `crate` is written.
pub(crate) const CRATE: (&str, &str) = ("crate", r#"crate = "path::to::wsworker""#);

/// What the option `crate` says.
pub(crate) fn path(option: &Written, usage: &str) -> Result<Path> {
    let path = match option.literal(usage)? {
        Lit::Str(path) => path.parse_with(Path::parse_mod_style).ok(),
        _ => None,
    };
    path.ok_or_else(|| {
        option.wrong(
            "expected a path in a string, such as `\"crate::framework\"` or `\"::wsworker\"`",
        )
    })
}

/// How the option `failed` is written.
pub(crate) const FAILED: (&str, &str) = ("failed", r#"failed = "close""#);

/// What the option `failed` says: does a socket stay whose callback failed?
pub(crate) fn keeps_failed(option: &Written, usage: &str) -> Result<bool> {
    const FAILED: [Choice<bool>; 2] = [
        (
            "close",
            "close a socket whose callback failed with 1011",
            false,
        ),
        ("keep", "let it go on after its `on_error`", true),
    ];
    option.choice(usage, &FAILED)
}

/// Where the framework's crate is: `::wsworker`, unless `crate = "..."` says otherwise.
pub(crate) fn krate(path: Option<&Path>) -> TokenStream {
    match path {
        Some(path) => quote!(#path),
        None => quote!(::wsworker),
    }
}

fn twice(option: &Written, usage: &str) -> Error {
    let name = &option.name;
    let advice = if usage.contains('(') {
        "put everything in one list"
    } else {
        "keep one"
    };
    Error::new(name.span(), format!("`{name}` is set twice: {advice}"))
}
