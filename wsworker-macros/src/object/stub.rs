//! The type that calls an object's methods: its definition, and a method for each call.

use std::iter;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{FnArg, Path, ReturnType, Token, Type, parse_quote};

use super::call::{self, Call};
use crate::place::Target;

/// `RoomStub` for `Room`. Reported where `Room` stands.
pub(super) fn name(class: &Ident) -> Ident {
    let span = Span::call_site().located_at(class.span());
    format_ident!("{}Stub", class.unraw(), span = span)
}

/// `a::RoomStub` for `a::Room`.
pub(super) fn path(class: &Path) -> Path {
    let mut path = class.clone();
    if let Some(last) = path.segments.last_mut() {
        last.ident = name(&last.ident);
    }
    path
}

pub(super) fn define(
    target: &Target,
    class: &Ident,
    stub: &Ident,
    krate: &TokenStream,
) -> TokenStream {
    let (cfgs, vis) = (&target.cfgs, &target.vis);
    let doc = format!(" Calls one `{class}`, from anywhere.");
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #vis struct #stub(#krate::Stub<#class>);

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::clone::Clone for #stub {
            fn clone(&self) -> Self {
                Self(::core::clone::Clone::clone(&self.0))
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::fmt::Debug for #stub {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.0, f)
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::convert::From<#krate::Stub<#class>> for #stub {
            fn from(stub: #krate::Stub<#class>) -> Self {
                Self(stub)
            }
        }

        #(#cfgs)*
        #[automatically_derived]
        impl ::core::ops::Deref for #stub {
            type Target = #krate::Stub<#class>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    }
}

/// What others see of a call: a method of the same name and arguments, which sends them.
pub(super) fn method(call: &Call, class: &Path, krate: &TokenStream) -> TokenStream {
    let Call {
        attrs,
        vis,
        signature,
        arguments,
        value,
        result,
        ..
    } = call;
    let remote = quote!(#krate::__private::remote);
    let name = &signature.ident;
    let text = name.unraw().to_string();
    let count = Literal::usize_unsuffixed(arguments.len());
    let (names, types): (Vec<_>, Vec<_>) = arguments.iter().cloned().unzip();
    let has = |name: &str| attrs.iter().any(|attr| attr.path().is_ident(name));
    // Its own call of the method is no mistake.
    let allowed = has("deprecated").then(|| quote!(#[allow(deprecated)]));
    let doc = (!has("doc")).then(|| {
        let doc = format!(" Calls `{text}` of the object.");
        quote!(#[doc = #doc])
    });
    // Ours, whatever the arguments are called.
    let [sent, object, received] =
        ["sent", "object", "received"].map(|name| Ident::new(name, Span::mixed_site()));

    // Where the method gives a `Result`, Rust reports that its future is not `Send` or its error
    // none of ours; where the class stands, that it is no object.
    let called = quote!(#class::#name(#object, #(#names),*).await);
    let reply = at(*result, quote!(#remote::reply));
    let reply = quote_spanned!(*result=> #reply::<#value, _>(#text, #called));
    let answered = quote! {
        #(let #names = #received.take::<#types>()?;)*
        #received.end()?;
        #reply
    };
    let answer = at(*result, quote!(#remote::answer));
    let answer = quote_spanned!(*result=> #answer(async move { #answered }));
    let asked = quote!(self, #sent, |#object, mut #received| #answer);
    let class_span = class_name(class).span();
    let ask = at(class_span, quote!(#remote::call));
    let asked = quote_spanned!(class_span=> #ask::<#class>(#asked).await?);
    quote! {
        #(#attrs)*
        #doc
        #allowed
        #vis async fn #name(&self, #(#names: #types),*) -> #krate::Result<#value> {
            let #sent = #remote::Arguments::new(#text, #count) #(.with::<#types>(#names)?)*;
            let #sent = #asked;
            #remote::value::<#value>(#text, &#sent)
        }
    }
}

/// A path as if it were written there.
fn at(span: Span, path: TokenStream) -> TokenStream {
    let path = path.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    path.collect()
}

/// The last name of a class's path.
fn class_name(class: &Path) -> &Ident {
    let last = class.segments.last();
    &last.expect("a path has a name").ident
}

/// The same after a mistake in it, so that whoever calls it gets no error of their own.
pub(super) fn stand_in(call: &Call, class: &Path) -> TokenStream {
    let mut signature = call.signature.clone();
    let returns_impl = match &signature.output {
        ReturnType::Type(_, ty) => matches!(**ty, Type::ImplTrait(_)),
        ReturnType::Default => false,
    };
    if call::is_of_every_stub(&signature.ident) || returns_impl {
        return TokenStream::new();
    }
    let arguments = signature.inputs.into_iter();
    let arguments = arguments.filter(|argument| matches!(argument, FnArg::Typed(_)));
    signature.inputs = iter::once(parse_quote!(&self)).chain(arguments).collect();
    signature.constness = None;
    signature.unsafety = None;
    signature.abi = None;
    signature.asyncness = Some(Token![async](signature.ident.span()));
    let signature = call::outside(signature.into_token_stream(), &class.to_token_stream());
    let (attrs, vis) = (&call.attrs, &call.vis);
    quote! {
        #(#attrs)*
        #[allow(missing_docs, unused)]
        #vis #signature {
            ::core::unreachable!()
        }
    }
}
