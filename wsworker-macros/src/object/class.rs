//! `#[durable_object]` on a struct: the class, and the type that calls its objects.

use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Error, Ident};

use super::settings::Settings;
use super::stub;
use crate::option::add;
use crate::options;
use crate::place::{Role, Target};
use crate::text;

/// The struct, its class and its stub, and every mistake. After one there is a class without
/// options, so that one mistake gives one error.
pub(super) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let target = OBJECT.target(item.clone());
    let mut settings = Settings::parse(args);
    let krate = options::krate(settings.krate.as_ref());
    let mut mistakes = settings.mistakes.take();
    for mistake in [target.mistake.clone(), generic(&target)]
        .into_iter()
        .flatten()
    {
        add(&mut mistakes, mistake);
    }
    let class = target.name.as_ref().map(|name| {
        let stable = settings.name.take().unwrap_or_else(|| {
            let stable = name.unraw().to_string();
            if text::check_class_name(&stable).is_err() {
                let message = format!(
                    "`{stable}` cannot be the class's stable name, which has up to 64 letters, \
                     digits, `_`, `-` and `.`: write one, as in `#[durable_object(name = \"room\")]`"
                );
                add(&mut mistakes, Error::new(name.span(), message));
            }
            stable
        });
        class(&target, name, &stable, &settings, &krate)
    });
    let item = target.item(item);
    let errors = mistakes.map(Error::into_compile_error);
    quote!(#item #errors #class)
}

/// Why a type with parameters is no class.
fn generic(target: &Target) -> Option<Error> {
    let parameter = target.generics.params.iter().find(|parameter| {
        // `place` has told about lifetimes.
        !matches!(parameter, syn::GenericParam::Lifetime(_))
    })?;
    let message = "a class of objects is one type: remove the parameters, and write a struct for \
                   each type that is needed";
    Some(Error::new_spanned(parameter, message))
}

fn class(
    target: &Target,
    name: &Ident,
    stable: &str,
    settings: &Settings,
    krate: &TokenStream,
) -> TokenStream {
    let options = constant(settings, krate);
    let (stub_type, stub) = if target.generics.params.is_empty() {
        let stub_name = stub::name(name);
        let stub = stub::define(target, name, &stub_name, krate);
        (quote!(#stub_name), Some(stub))
    } else {
        (quote!(#krate::Stub<Self>), None)
    };
    let body = quote! {
        const NAME: &'static ::core::primitive::str = #stable;
        const OPTIONS: #krate::__private::ObjectOptions = #options;
        type Stub = #stub_type;
    };
    let class = target.implement(&quote!(#krate::__private::Class), &body);
    quote!(#class #stub)
}

/// The options: only what was set, over the defaults.
fn constant(settings: &Settings, krate: &TokenStream) -> TokenStream {
    let time = |millis: u64| {
        let millis = Literal::u64_unsuffixed(millis);
        quote!(::core::time::Duration::from_millis(#millis))
    };
    let mut fields = Vec::new();
    if let Some(millis) = settings.hibernate_after {
        let time = time(millis);
        fields.push(quote!(hibernate_after: #time));
    }
    if let Some(millis) = settings.event_timeout {
        let time = time(millis);
        fields.push(quote!(event_timeout: #time));
    }
    if settings.sql {
        fields.push(quote!(sql: true));
    }
    if settings.keeps_failed {
        fields.push(quote!(keeps_failed: true));
    }
    for (field, value) in &settings.limits {
        let (field, value) = (format_ident!("{field}"), Literal::u64_unsuffixed(*value));
        fields.push(quote!(#field: #value));
    }
    if fields.is_empty() {
        return quote!(#krate::__private::ObjectOptions::DEFAULT);
    }
    // Clippy minds defaults for nothing.
    let rest =
        (fields.len() < OPTIONS).then(|| quote!(..#krate::__private::ObjectOptions::DEFAULT));
    quote! {
        #krate::__private::ObjectOptions {
            #(#fields,)*
            #rest
        }
    }
}

/// How many options are fields.
const OPTIONS: usize = 12;

const OBJECT: Role = Role {
    attribute: "durable_object",
    of_trait: "DurableObject",
    wrapper: "MyObject",
    method: "a method of an `impl DurableObject` for it, or a `#[call]` of an `impl`",
    owner: "an object owns its data, it lives as long as its events come",
    on_impl: true,
};
