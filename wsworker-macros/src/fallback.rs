//! What stands in for the marker after a mistake, so that one mistake gives one error.
//! Never runs: a `compile_error!` always comes with it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::item::Target;

/// The item, every mistake, and a marker if there is a type to mark.
pub(crate) fn expand<'a>(
    item: &TokenStream,
    target: &Target,
    krate: &TokenStream,
    mistakes: impl Iterator<Item = &'a syn::Error>,
) -> TokenStream {
    let item = target.stand_in.as_ref().unwrap_or(item);
    let errors = mistakes.map(syn::Error::to_compile_error);
    let marker = (!target.ty.is_empty()).then(|| marker(target, krate));
    quote!(#item #(#errors)* #marker)
}

/// A marker without options, and without a bound on `Worker` that could add an error.
fn marker(target: &Target, krate: &TokenStream) -> TokenStream {
    let cfgs = &target.cfgs;
    let ty = &target.ty;
    let (impl_generics, ty_generics, where_clause) = target.generics.split_for_impl();
    let ty_generics = target.ty_takes_generics.then_some(ty_generics);
    quote! {
        #(#cfgs)*
        #[automatically_derived]
        impl #impl_generics #krate::__private::Annotated for #ty #ty_generics #where_clause {
            const OPTIONS: #krate::__private::Options = #krate::__private::Options::NONE;

            fn entrypoint(self) -> #krate::__private::Entry {
                ::core::unreachable!()
            }
        }
    }
}
