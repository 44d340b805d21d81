//! One `#[call]`: its method's head, and whether it can be called from outside.
//! Never looks into the body.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericArgument, Pat, PatType, PathArguments, Result, ReturnType,
    Signature, Type, Visibility,
};

use crate::option::add;
use crate::text;

/// A method that is called from outside.
pub(super) struct Call {
    /// Those of the method that its counterpart has as well.
    pub(super) attrs: Vec<Attribute>,
    pub(super) vis: Visibility,
    pub(super) signature: Signature,
    /// As they are seen from outside.
    pub(super) arguments: Vec<(Ident, TokenStream)>,
    /// What is in the `Result`, as it is seen from outside.
    pub(super) value: TokenStream,
    /// Where the `Result` stands.
    pub(super) result: Span,
    /// Everything that was wrong.
    pub(super) mistakes: Option<Error>,
}

/// Whether this is `#[call]`.
pub(super) fn is_mark(attr: &Attribute) -> bool {
    let last = attr.path().segments.last();
    last.is_some_and(|last| last.ident == "call")
}

impl Call {
    /// Reads what follows a method's attributes. `mark` is the `#[call]` among them.
    ///
    /// # Errors
    /// It is no method.
    pub(super) fn read(
        input: ParseStream<'_>,
        mark: &Attribute,
        attrs: &[Attribute],
        class: &TokenStream,
    ) -> Result<Call> {
        let head = || Ok((input.parse()?, input.parse()?));
        let (vis, signature): (Visibility, Signature) = head().map_err(|_: Error| {
            let message = "`#[call]` goes on a method: write `#[call] async fn` there";
            Error::new_spanned(mark.path(), message)
        })?;
        let mut call = Call {
            attrs: attrs.iter().filter(|attr| is_kept(attr)).cloned().collect(),
            vis,
            arguments: Vec::new(),
            value: TokenStream::new(),
            result: signature.ident.span(),
            signature,
            mistakes: None,
        };
        call.check(mark, class);
        Ok(call)
    }

    fn check(&mut self, mark: &Attribute, class: &TokenStream) {
        let signature = &self.signature;
        let mut mistakes = None;
        let rules = [
            bare(mark),
            name(&signature.ident),
            plain(signature),
            receiver(signature),
        ];
        for mistake in rules.into_iter().filter_map(Result::err) {
            add(&mut mistakes, mistake);
        }
        for argument in &signature.inputs {
            let FnArg::Typed(typed) = argument else {
                continue;
            };
            match self::argument(typed) {
                Ok(name) => {
                    let ty = outside(typed.ty.to_token_stream(), class);
                    self.arguments.push((name, ty));
                }
                Err(mistake) => add(&mut mistakes, mistake),
            }
        }
        match value(signature) {
            Ok((result, ty)) => {
                self.result = result;
                self.value = outside(ty.to_token_stream(), class);
            }
            Err(mistake) => add(&mut mistakes, mistake),
        }
        self.mistakes = mistakes;
    }
}

/// What the counterpart has as well: its documentation, and what says whether it is there.
fn is_kept(attr: &Attribute) -> bool {
    let kept = ["allow", "cfg", "deprecated", "doc"];
    kept.iter().any(|kept| attr.path().is_ident(kept))
}

fn bare(mark: &Attribute) -> Result<()> {
    if mark.meta.require_path_only().is_ok() {
        return Ok(());
    }
    let message = "`#[call]` takes no options: write `#[call]`";
    Err(Error::new_spanned(&mark.meta, message))
}

fn name(name: &Ident) -> Result<()> {
    if !is_of_every_stub(name) {
        return Ok(());
    }
    let message = format!("`{name}` is a method of every `Stub`: give this call another name");
    Err(Error::new(name.span(), message))
}

/// Whether a stub has a method of this name already.
pub(super) fn is_of_every_stub(name: &Ident) -> bool {
    let theirs = ["call", "clone", "fetch", "id"];
    theirs.iter().any(|theirs| name == theirs)
}

/// An `async fn`, and no other kind of it.
fn plain(signature: &Signature) -> Result<()> {
    let name = &signature.ident;
    let odd = [
        signature.constness.map(|word| word.span),
        signature.unsafety.map(|word| word.span),
        signature.abi.as_ref().map(Spanned::span),
    ];
    if let Some(span) = odd.into_iter().flatten().next() {
        let message = format!("a call is an `async fn` like any other: write `async fn {name}`");
        return Err(Error::new(span, message));
    }
    if signature.asyncness.is_none() {
        let message = format!("a call is waited for: write `async fn {name}`");
        return Err(Error::new_spanned(signature.fn_token, message));
    }
    if let Some(parameter) = signature.generics.params.first() {
        let message = "a call may come from another process, so it has no parameters of types or \
                       lifetimes: write the types that it takes";
        return Err(Error::new_spanned(parameter, message));
    }
    Ok(())
}

/// An event has its object for itself.
fn receiver(signature: &Signature) -> Result<()> {
    let name = &signature.ident;
    let Some(receiver) = signature.receiver() else {
        let message = format!("a call is a method of an object: write `{name}(&mut self, ...)`");
        return Err(Error::new(name.span(), message));
    };
    let message = match &*receiver.ty {
        Type::Reference(by) if by.mutability.is_some() => return Ok(()),
        Type::Reference(_) => "an event has its object for itself: write `&mut self`",
        _ => "an object lives on after a call: write `&mut self`",
    };
    Err(Error::new_spanned(receiver, message))
}

/// The name of an argument that can be sent.
fn argument(argument: &PatType) -> Result<Ident> {
    let PatType { attrs, pat, ty, .. } = argument;
    if let Some(cfg) = attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
        let message = "a call takes the same arguments always: put the `#[cfg]` on the method";
        return Err(Error::new_spanned(cfg, message));
    }
    owned(ty, "an argument")?;
    match &**pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => Ok(pat.ident.clone()),
        _ => {
            let message = "an argument of a call has a name: write one, and take it apart in the \
                           body";
            Err(Error::new_spanned(pat, message))
        }
    }
}

/// The word `Result`, and what is in it.
fn value(signature: &Signature) -> Result<(Span, &Type)> {
    const WHY: &str = "a call gives a `Result`, since it may not get through";
    let name = &signature.ident;
    let ReturnType::Type(_, ty) = &signature.output else {
        let message = format!("{WHY}: write `{name}(...) -> Result<()>`");
        return Err(Error::new(name.span(), message));
    };
    let ty = unwrapped(ty);
    let last = match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    };
    let Some(result) = last.filter(|last| last.ident == "Result") else {
        let message = format!("{WHY}: write `Result<{}>`", text::of_code(ty));
        return Err(Error::new_spanned(ty, message));
    };
    let arguments = match &result.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    let value = arguments
        .into_iter()
        .flatten()
        .find_map(|argument| match argument {
            GenericArgument::Type(value) => Some(value),
            _ => None,
        });
    let Some(value) = value else {
        let message = "this does not say what the call gives: write `Result<()>`, or the type";
        return Err(Error::new_spanned(ty, message));
    };
    owned(value, "a result")?;
    Ok((result.ident.span(), value))
}

/// A type that can go to another process.
fn owned(ty: &Type, what: &str) -> Result<()> {
    let why = format!("{what} of a call is a value of its own, as it may go to another process");
    let instead = match unwrapped(ty) {
        Type::ImplTrait(_) => {
            let message = format!("{what} of a call has one type: write it in place of `impl`");
            return Err(Error::new_spanned(ty, message));
        }
        Type::Reference(by) => match unwrapped(&by.elem) {
            Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
            Type::Slice(slice) => format!("`Vec<{}>`", text::of_code(&slice.elem)),
            elem => format!("`{}`", text::of_code(elem)),
        },
        _ if borrows(ty.to_token_stream()) => "a type without `&` and lifetimes".to_owned(),
        _ => return Ok(()),
    };
    Err(Error::new_spanned(ty, format!("{why}: write {instead}")))
}

/// Whether there is an `&` or a lifetime in it, other than `'static`.
fn borrows(ty: TokenStream) -> bool {
    let mut lifetime = false;
    ty.into_iter().any(|token| match token {
        TokenTree::Group(group) => borrows(group.stream()),
        TokenTree::Ident(name) => std::mem::take(&mut lifetime) && name != "static",
        TokenTree::Punct(punct) => {
            lifetime = punct.as_char() == '\'';
            punct.as_char() == '&'
        }
        TokenTree::Literal(_) => false,
    })
}

/// What is written inside of an `impl`, as it is written outside of it, where `Self` is another.
pub(super) fn outside(written: TokenStream, class: &TokenStream) -> TokenStream {
    let each = written.into_iter().map(|token| match token {
        TokenTree::Ident(name) if name == "Self" => {
            let class = class.clone().into_iter().map(|mut token| {
                token.set_span(name.span());
                token
            });
            class.collect()
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), outside(group.stream(), class));
            inner.set_span(group.span());
            TokenTree::Group(inner).into_token_stream()
        }
        token => token.into_token_stream(),
    });
    each.collect()
}

/// Without parentheses, and without what a declarative macro puts around a type.
fn unwrapped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => unwrapped(&group.elem),
        Type::Paren(paren) => unwrapped(&paren.elem),
        ty => ty,
    }
}
