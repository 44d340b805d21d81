//! From `#[durable_object]` and its item to the tokens that replace both.
//! Decides nothing itself: `class` has what stands on a struct, `calls` what stands on an `impl`.

mod call;
mod calls;
mod class;
mod settings;
mod stub;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Error;

use crate::item::{Item, Kind};

/// The item, and what makes it an object or its methods calls.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    match Item::read(item.clone()) {
        Ok(head) => match &head.kind {
            Kind::Impl(block) if block.of_trait.is_none() => {
                calls::expand(args, item, &head, block)
            }
            _ => class::expand(args, &item),
        },
        Err(_) => class::expand(args, &item),
    }
}

/// What `#[call]` says where no `#[durable_object]` has read it.
pub(crate) fn call_alone(item: &TokenStream) -> TokenStream {
    let message = "`#[call]` goes on a method of an `impl` block that has `#[durable_object]`: put \
                   that on the block, as in `#[durable_object] impl Room`";
    // The attribute itself has no other span.
    let error = Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

/// What `#[durable_object]` says where the feature is off.
pub(crate) fn without_feature(item: &TokenStream) -> TokenStream {
    let message = "`#[durable_object]` needs the feature `objects` of `wsworker`: in Cargo.toml, \
                   write `features = [\"objects\"]`";
    let error = Error::new(Span::call_site(), message).into_compile_error();
    // Without the blocks: there is no `#[call]`, either.
    let read = Item::read(item.clone());
    let kept = read
        .is_ok_and(|read| !matches!(read.kind, Kind::Impl(_)))
        .then_some(item);
    quote!(#error #kept)
}

#[cfg(test)]
mod tests;
