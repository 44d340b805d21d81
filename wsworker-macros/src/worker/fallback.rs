//! What stands in for the marker after a mistake, so that one mistake gives one error.
//! Never runs: a `compile_error!` always comes with it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::place::Target;

/// The item, every mistake, and a marker if there is a type to mark.
pub(super) fn expand<'a>(
    item: &TokenStream,
    target: &Target,
    krate: &TokenStream,
    mistakes: impl Iterator<Item = &'a syn::Error>,
) -> TokenStream {
    let item = target.item(item);
    let errors = mistakes.map(syn::Error::to_compile_error);
    let marker = (!target.ty.is_empty()).then(|| marker(target, krate));
    quote!(#item #(#errors)* #marker)
}

/// A marker without options, and without a bound on `Worker` that could add an error.
fn marker(target: &Target, krate: &TokenStream) -> TokenStream {
    let body = quote! {
        const OPTIONS: #krate::__private::Options = #krate::__private::Options::NONE;

        fn entrypoint(self) -> #krate::__private::Entry {
            ::core::unreachable!()
        }
    };
    target.implement(&quote!(#krate::__private::Annotated), &body)
}
