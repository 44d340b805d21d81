//! From the attribute and its item to the tokens that replace both.
//! Decides nothing about what is allowed: `item` and `settings` do.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::Path;

use crate::fallback;
use crate::item::Target;
use crate::settings::{Settings, Slow};

/// The item unchanged, followed by the marker that carries the options, or by every mistake.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let target = Target::of(item.clone());
    let settings = Settings::parse(args);
    match (&target.mistake, &settings.mistakes) {
        (None, None) => {
            let marker = marker(&target, &settings);
            quote!(#item #marker)
        }
        (on_item, in_options) => {
            let krate = krate(&settings);
            fallback::expand(&item, &target, &krate, on_item.iter().chain(in_options))
        }
    }
}

/// Where the framework's crate is: `::wsworker`, unless `crate = "..."` says otherwise.
fn krate(settings: &Settings) -> TokenStream {
    match &settings.krate {
        Some(path) => Path::to_token_stream(path),
        None => quote!(::wsworker),
    }
}

fn marker(target: &Target, settings: &Settings) -> TokenStream {
    let krate = krate(settings);
    let options = options(&krate, settings);
    let cfgs = &target.cfgs;
    let ty = &target.ty;
    let (impl_generics, ty_generics, where_clause) = target.generics.split_for_impl();
    // `for<'any>` puts off the bound to whoever calls `entrypoint`. Without it Rust would report a
    // missing `Clone` or `impl Worker` here as well, under the attribute.
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #impl_generics #krate::__private::Annotated for #ty #ty_generics #where_clause {
            const OPTIONS: #krate::__private::Options = #options;

            fn entrypoint(self) -> #krate::__private::Entry
            where
                for<'any> Self: #krate::Worker,
            {
                #krate::__private::entrypoint(self)
            }
        }
    }
}

/// The constant: only what was set, over `Options::NONE`.
fn options(krate: &TokenStream, settings: &Settings) -> TokenStream {
    let mut fields = Vec::new();
    let mut field = |name: &str, value: TokenStream| {
        let name = Ident::new(name, proc_macro2::Span::call_site());
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

#[cfg(test)]
mod tests;
