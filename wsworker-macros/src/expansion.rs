//! For tests: what an expansion says.

use std::str::FromStr;

use proc_macro2::TokenStream;
use quote::ToTokens;

pub(crate) fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).unwrap()
}

/// The messages of its `compile_error!`s.
pub(crate) fn errors(expansion: TokenStream) -> Vec<String> {
    let file: syn::File = syn::parse2(expansion).unwrap();
    file.items
        .into_iter()
        .filter_map(|item| match item {
            syn::Item::Macro(item) => Some(item.mac),
            _ => None,
        })
        .map(|mac| {
            assert_eq!(
                mac.path.to_token_stream().to_string(),
                ":: core :: compile_error"
            );
            mac.parse_body::<syn::LitStr>().unwrap().value()
        })
        .collect()
}

pub(crate) fn assert_snapshot(expansion: TokenStream, wanted: &str) {
    let got = prettyplease::unparse(&syn::parse2(expansion).unwrap());
    assert_eq!(got, wanted, "the expansion is now:\n{got}");
}
