//! From `#[worker]` and its item to the tokens that replace both.
//! Decides nothing about what is allowed: `place` and `settings` do.

mod fallback;
mod settings;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;

use self::settings::{Settings, Slow};
use crate::options;
use crate::place::{Role, Target};

/// The item unchanged, followed by the marker that carries the options, or by every mistake.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let target = WORKER.target(item.clone());
    let settings = Settings::parse(args);
    let krate = options::krate(settings.krate.as_ref());
    match (&target.mistake, &settings.mistakes) {
        (None, None) => {
            let marker = marker(&target, &settings, &krate);
            quote!(#item #marker)
        }
        (on_item, in_options) => {
            fallback::expand(&item, &target, &krate, on_item.iter().chain(in_options))
        }
    }
}

fn marker(target: &Target, settings: &Settings, krate: &TokenStream) -> TokenStream {
    let options = constant(krate, settings);
    // `for<'any>` puts off the bound to whoever calls `entrypoint`. Without it Rust would report a
    // missing `Clone` or `impl Worker` here as well, under the attribute.
    let body = quote! {
        const OPTIONS: #krate::__private::Options = #options;

        fn entrypoint(self) -> #krate::__private::Entry
        where
            for<'any> Self: #krate::Worker,
        {
            #krate::__private::entrypoint(self)
        }
    };
    target.implement(&quote!(#krate::__private::Annotated), &body)
}

/// The constant: only what was set, over `Options::NONE`.
fn constant(krate: &TokenStream, settings: &Settings) -> TokenStream {
    let mut fields = Vec::new();
    let mut field = |name: &str, value: TokenStream| {
        let name = Ident::new(name, Span::call_site());
        fields.push(quote!(#name: #value));
    };
    let size = |bytes: u64| {
        // Suffixed by hand: the host's `usize` may be smaller than the target's.
        let bytes: Literal = format!("{bytes}usize")
            .parse()
            .expect("digits and a suffix");
        some(quote!(#bytes))
    };
    let time = |millis: u64| {
        let millis = Literal::u64_unsuffixed(millis);
        some(quote!(::core::time::Duration::from_millis(#millis)))
    };
    if let Some(bytes) = settings.max_message {
        field("max_message", size(bytes));
    }
    if let Some(bytes) = settings.max_buffered {
        field("max_buffered", size(bytes));
    }
    if let Some(slow) = settings.slow {
        let slow = match slow {
            Slow::Close => quote!(#krate::__private::Slow::Close),
            Slow::Drop => quote!(#krate::__private::Slow::Drop),
        };
        field("slow", some(slow));
    }
    if settings.keeps_failed {
        field("keeps_failed", quote!(true));
    }
    if let Some(millis) = settings.idle_timeout {
        field("idle_timeout", time(millis));
    }
    if let Some(millis) = settings.handshake_timeout {
        field("handshake_timeout", time(millis));
    }
    if let Some(names) = &settings.protocols {
        field("protocols", quote!(&[#(#names),*]));
    }
    if let Some(names) = &settings.origins {
        field("origins", quote!(&[#(#names),*]));
    }
    if let Some(types) = &settings.objects {
        let objects = quote!(&[#(#krate::__private::Registration::of::<#types>()),*]);
        field("objects", objects);
    }
    if fields.is_empty() {
        return quote!(#krate::__private::Options::NONE);
    }
    quote! {
        #krate::__private::Options {
            #(#fields,)*
            ..#krate::__private::Options::NONE
        }
    }
}

fn some(value: TokenStream) -> TokenStream {
    quote!(::core::option::Option::Some(#value))
}

const WORKER: Role = Role {
    attribute: "worker",
    of_trait: "Worker",
    wrapper: "MyWorker",
    method: "`on_message` (or `fetch`) of an `impl Worker` for it",
    owner: "a worker owns its data, it lives as long as its connection",
    on_impl: false,
};

#[cfg(test)]
mod tests;
