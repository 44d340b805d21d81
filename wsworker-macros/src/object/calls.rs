//! `#[durable_object]` on an `impl` block: which of its methods are calls.
//! Does not judge a method; `call` does.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Path, PathArguments, Result, Token, Type, token};

use super::call::{self, Call};
use super::settings::BlockSettings;
use super::stub;
use crate::item::{Impl, Item};
use crate::option::add;
use crate::options;

/// The block without its marks, the stub's methods, and every mistake.
pub(super) fn expand(
    args: TokenStream,
    item: TokenStream,
    head: &Item,
    block: &Impl,
) -> TokenStream {
    let settings = BlockSettings::parse(args);
    let krate = options::krate(settings.krate.as_ref());
    let (start, body) = apart(item);
    let members = Members::read(&body, &block.ty.to_token_stream());
    let mut mistakes = settings.mistakes;
    for mistake in members.mistakes() {
        add(&mut mistakes, mistake);
    }
    let stub = class_of(block).map(|class| {
        let (cfgs, stub) = (head.cfgs(), stub::path(class));
        let methods = members.calls.iter().map(|call| match &call.mistakes {
            None => stub::method(call, class, &krate),
            Some(_) => stub::stand_in(call, class),
        });
        quote!(#(#cfgs)* impl #stub { #(#methods)* })
    });
    let stub = stub.unwrap_or_else(|mistake| {
        add(&mut mistakes, mistake);
        TokenStream::new()
    });
    if members.calls.is_empty() && mistakes.is_none() {
        let message = "there is no call in this block: put `#[call]` on a method, or remove \
                       `#[durable_object]`";
        add(&mut mistakes, Error::new_spanned(&head.keyword, message));
    }
    let errors = mistakes.map(Error::into_compile_error);
    let kept = with_body(&body, members.kept);
    quote!(#start #kept #errors #stub)
}

/// What is between the braces.
#[derive(Default)]
struct Members {
    /// All of it, without the marks.
    kept: TokenStream,
    calls: Vec<Call>,
    /// What is wrong with marks.
    mistakes: Vec<Error>,
}

impl Members {
    fn read(body: &Group, class: &TokenStream) -> Members {
        let read = |input: ParseStream<'_>| {
            let mut members = Members::default();
            while !input.is_empty() {
                if let Err(mistake) = members.next(input, class) {
                    members.mistakes.push(mistake);
                }
            }
            Ok(members)
        };
        Parser::parse2(read, body.stream()).expect("it reads to the end")
    }

    fn mistakes(&self) -> impl Iterator<Item = Error> {
        let in_calls = self.calls.iter().filter_map(|call| call.mistakes.as_ref());
        self.mistakes.iter().chain(in_calls).cloned()
    }

    /// The attributes of a member, and the member itself if it is a call; or a part of another.
    fn next(&mut self, input: ParseStream<'_>, class: &TokenStream) -> Result<()> {
        if !(input.peek(Token![#]) && input.peek2(token::Bracket)) {
            self.kept.extend(input.parse::<TokenTree>());
            return Ok(());
        }
        let attrs = input.call(Attribute::parse_outer)?;
        let (marks, attrs): (Vec<_>, Vec<_>) = attrs.into_iter().partition(call::is_mark);
        self.kept
            .extend(attrs.iter().map(Attribute::to_token_stream));
        let Some(mark) = marks.first() else {
            return Ok(());
        };
        if let Some(again) = marks.get(1) {
            let message = "`#[call]` is here twice: keep one";
            return Err(Error::new_spanned(again.path(), message));
        }
        self.calls
            .push(Call::read(&input.fork(), mark, &attrs, class)?);
        Ok(())
    }
}

/// The class's name, as it is written here.
fn class_of(block: &Impl) -> Result<&Path> {
    const ONE_TYPE: &str = "a class of objects is one type: remove the parameters, here and from \
                            its struct";
    if let Some(parameter) = block.generics.params.first() {
        return Err(Error::new_spanned(parameter, ONE_TYPE));
    }
    let path = match &block.ty {
        Type::Path(ty) if ty.qself.is_none() => &ty.path,
        ty => {
            let message = "`#[durable_object]` goes on an `impl` of a struct: write its name here";
            return Err(Error::new_spanned(ty, message));
        }
    };
    match path.segments.last().map(|last| &last.arguments) {
        Some(PathArguments::None) | None => Ok(path),
        Some(arguments) => Err(Error::new_spanned(arguments, ONE_TYPE)),
    }
}

/// The head of a block, and its body.
fn apart(item: TokenStream) -> (TokenStream, Group) {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    match tokens.pop() {
        Some(TokenTree::Group(body)) => (tokens.into_iter().collect(), body),
        _ => unreachable!("Rust has parsed the block, and it ends with its body"),
    }
}

fn with_body(body: &Group, kept: TokenStream) -> Group {
    let mut group = Group::new(body.delimiter(), kept);
    group.set_span(body.span());
    group
}
