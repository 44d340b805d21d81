//! The syntax of one option: `name = value` or `name("a", "b")`.
//! Knows no names and no values: `options` and `settings` give them their meaning.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Lit, LitStr, Path, Result};

/// One option as it was written.
pub(crate) struct Written {
    pub(crate) name: Ident,
    form: Form,
}

/// A word that an option takes, what it means, and what it is to be.
pub(crate) type Choice<T> = (&'static str, &'static str, T);

enum Form {
    Bare,
    /// After `=`, perhaps nothing.
    Value(TokenStream),
    /// Between parentheses.
    List(TokenStream),
}

impl Written {
    /// Each option, or what is wrong with it. They are split at the commas first: a mistake in
    /// one option hides none in the next.
    /// `example` shows one.
    pub(crate) fn all(args: TokenStream, example: &str) -> Vec<Result<Written>> {
        split(args)
            .into_iter()
            .map(|part| match part {
                Part::Tokens(tokens) => {
                    Parser::parse2(|input: ParseStream<'_>| read(input, example), tokens)
                }
                Part::Nothing(comma) => {
                    Err(Error::new(comma, "expected an option before this `,`"))
                }
            })
            .collect()
    }

    /// The literal after `=`. `usage` shows the whole option as it should be.
    pub(crate) fn literal(&self, usage: &str) -> Result<Lit> {
        let name = &self.name;
        let tokens = match &self.form {
            Form::Value(tokens) if !tokens.is_empty() => tokens,
            Form::Value(_) | Form::Bare => {
                let message = format!("`{name}` needs a value: write `{usage}`");
                return Err(Error::new(name.span(), message));
            }
            Form::List(_) => {
                let message = format!("`{name}` takes one value: write `{usage}`");
                return Err(Error::new(name.span(), message));
            }
        };
        let expected = || self.wrong(&format!("expected a literal: write `{usage}`"));
        let read = |input: ParseStream<'_>| {
            let literal = input.parse::<Lit>().map_err(|_| expected())?;
            match input.cursor().token_tree() {
                None => Ok(literal),
                Some((next @ TokenTree::Ident(_), _)) => Err(missing_comma(&next)),
                Some(_) => Err(expected()),
            }
        };
        Parser::parse2(read, tokens.clone())
    }

    /// Which of the words it is.
    pub(crate) fn choice<T: Copy>(&self, usage: &str, choices: &[Choice<T>]) -> Result<T> {
        let said = match self.literal(usage)? {
            Lit::Str(said) => said.value(),
            _ => String::new(),
        };
        let mut known = choices.iter();
        if let Some((.., value)) = known.find(|(word, ..)| said == *word) {
            return Ok(*value);
        }
        let words = choices
            .iter()
            .map(|(word, meaning, _)| format!("`\"{word}\"` ({meaning})"));
        let words: Vec<_> = words.collect();
        Err(self.wrong(&format!("expected {}", words.join(" or "))))
    }

    /// Makes sure that there is the name alone.
    pub(crate) fn flag(&self, usage: &str) -> Result<()> {
        let name = &self.name;
        match &self.form {
            Form::Bare => Ok(()),
            Form::Value(_) | Form::List(_) => {
                let message = format!("`{name}` takes no value: write `{usage}`, or leave it out");
                Err(Error::new(name.span(), message))
            }
        }
    }

    /// What is wrong with the value, under the whole of it.
    pub(crate) fn wrong(&self, message: &str) -> Error {
        match &self.form {
            Form::Value(value) => Error::new_spanned(value, message),
            Form::Bare | Form::List(_) => Error::new(self.name.span(), message),
        }
    }

    /// The strings between the parentheses, at least one.
    pub(crate) fn strings(&self, usage: &str) -> Result<Vec<LitStr>> {
        self.list(usage, "a string", string)
    }

    /// The types between the parentheses, at least one.
    pub(crate) fn types(&self, usage: &str) -> Result<Vec<Path>> {
        self.list(usage, "a type", path)
    }

    fn list<T>(
        &self,
        usage: &str,
        what: &str,
        read: fn(ParseStream<'_>, &str) -> Result<T>,
    ) -> Result<Vec<T>> {
        let list = match &self.form {
            Form::List(list) => list,
            Form::Value(value) => {
                let name = &self.name;
                return Err(Error::new_spanned(
                    quote!(#name = #value),
                    format!("`{name}` takes a list in parentheses: write `{usage}`"),
                ));
            }
            Form::Bare => {
                return Err(Error::new(
                    self.name.span(),
                    format!("`{}` needs a list: write `{usage}`", self.name),
                ));
            }
        };
        let mut values = Vec::new();
        let mut mistakes: Option<Error> = None;
        for part in split(list.clone()) {
            let value = match part {
                Part::Tokens(tokens) => {
                    let read = |input: ParseStream<'_>| one(input, usage, read);
                    Parser::parse2(read, tokens)
                }
                Part::Nothing(comma) => Err(Error::new(
                    comma,
                    format!("expected {what} before this `,`"),
                )),
            };
            match value {
                Ok(value) => values.push(value),
                Err(error) => add(&mut mistakes, error),
            }
        }
        match mistakes {
            Some(mistakes) => Err(mistakes),
            None if values.is_empty() => Err(Error::new(
                self.name.span(),
                format!(
                    "`{}` is empty: write `{usage}`, or remove the option",
                    self.name
                ),
            )),
            None => Ok(values),
        }
    }
}

/// Collects mistakes, so that all are reported at once.
pub(crate) fn add(mistakes: &mut Option<Error>, error: Error) {
    match mistakes {
        Some(mistakes) => mistakes.combine(error),
        None => *mistakes = Some(error),
    }
}

fn read(input: ParseStream<'_>, example: &str) -> Result<Written> {
    if !input.peek(Ident::peek_any) {
        let tokens: TokenStream = input.parse()?;
        let message = format!("expected an option, such as `{example}`");
        return Err(Error::new_spanned(tokens, message));
    }
    let name = input.call(Ident::parse_any)?;
    let form = match input.cursor().token_tree() {
        None => Form::Bare,
        Some((TokenTree::Punct(punct), _)) if punct.as_char() == '=' => {
            input.parse::<TokenTree>()?;
            Form::Value(input.parse()?)
        }
        Some((TokenTree::Group(group), _)) if group.delimiter() == Delimiter::Parenthesis => {
            input.parse::<TokenTree>()?;
            if let Some((next, _)) = input.cursor().token_tree() {
                return Err(missing_comma(&next));
            }
            Form::List(group.stream())
        }
        Some((other, _)) => {
            return Err(Error::new(
                other.span(),
                format!("expected `=`, `(` or `,` after `{name}`"),
            ));
        }
    };
    Ok(Written { name, form })
}

/// One value of a list, and nothing after it.
fn one<T>(
    input: ParseStream<'_>,
    usage: &str,
    read: fn(ParseStream<'_>, &str) -> Result<T>,
) -> Result<T> {
    let value = read(input, usage)?;
    match input.cursor().token_tree() {
        Some((next, _)) => Err(missing_comma(&next)),
        None => Ok(value),
    }
}

fn string(input: ParseStream<'_>, usage: &str) -> Result<LitStr> {
    input.parse::<LitStr>().or_else(|_| {
        let tokens: TokenStream = input.parse()?;
        let message = format!("expected a string, as in `{usage}`");
        Err(Error::new_spanned(tokens, message))
    })
}

fn path(input: ParseStream<'_>, usage: &str) -> Result<Path> {
    if let Ok(quoted) = input.fork().parse::<LitStr>()
        && quoted.parse::<Path>().is_ok()
    {
        let message = format!(
            "expected a type: write `{}`, without quotes",
            quoted.value()
        );
        return Err(Error::new(quoted.span(), message));
    }
    input.fork().parse::<Path>().map_err(|_| {
        let tokens = input.fork().parse::<TokenStream>();
        let message = format!("expected a type, as in `{usage}`");
        Error::new_spanned(tokens.unwrap_or_default(), message)
    })?;
    input.parse()
}

fn missing_comma(next: &TokenTree) -> Error {
    Error::new(next.span(), "expected `,` before this")
}

enum Part {
    Tokens(TokenStream),
    /// Nothing before this comma.
    Nothing(Span),
}

/// The parts between the commas; one comma may end the list.
fn split(tokens: TokenStream) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => parts.push(if part.is_empty() {
                Part::Nothing(token.span())
            } else {
                Part::Tokens(part.drain(..).collect())
            }),
            _ => part.push(token),
        }
    }
    if !part.is_empty() {
        parts.push(Part::Tokens(part.into_iter().collect()));
    }
    parts
}
