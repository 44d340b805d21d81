//! What an attribute stands on, as far as the item's head says: attributes, kind, name, generics.
//! Never looks into fields or bodies, and judges nothing: `place` does.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Generics, Lifetime, Path, Result, Token, Type, Visibility, token};

/// An item.
pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// The word that says what kind of item this is.
    pub(crate) keyword: Ident,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Struct(Head),
    Enum(Head),
    Union(Head),
    Impl(Box<Impl>),
    Fn,
    Trait,
    Other,
}

/// A type's definition, with the `where` that comes before or after its fields.
pub(crate) struct Head {
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    /// Those of a tuple struct, which stand before the `where`.
    fields: Option<TokenTree>,
    rest: TokenStream,
}

/// A block of methods.
pub(crate) struct Impl {
    pub(crate) generics: Generics,
    /// The trait that it implements, if it does.
    pub(crate) of_trait: Option<Type>,
    pub(crate) ty: Type,
}

impl Item {
    /// # Errors
    /// Rust itself parsed the item, so this is a kind of item that is unknown here.
    pub(crate) fn read(item: TokenStream) -> Result<Item> {
        Parser::parse2(read, item)
    }

    /// The item's own conditions, which hold for what is generated for it too.
    pub(crate) fn cfgs(&self) -> Vec<Attribute> {
        let attrs = self.attrs.iter();
        let cfgs = attrs.filter(|attr| attr.path().is_ident("cfg"));
        cfgs.cloned().collect()
    }

    /// The attribute of this name, if the item has it (again).
    pub(crate) fn attribute(&self, name: &str) -> Option<&Path> {
        self.attrs.iter().map(Attribute::path).find(|path| {
            let last = path.segments.last().map(|segment| &segment.ident);
            last.is_some_and(|last| last == name)
        })
    }

    /// This definition, with other generics.
    pub(crate) fn with(&self, head: &Head, generics: &Generics) -> TokenStream {
        let Item {
            attrs,
            vis,
            keyword,
            ..
        } = self;
        let Head {
            name, fields, rest, ..
        } = head;
        let where_clause = &generics.where_clause;
        quote!(#(#attrs)* #vis #keyword #name #generics #fields #where_clause #rest)
    }
}

fn read(input: ParseStream<'_>) -> Result<Item> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis: Visibility = input.parse()?;
    let keyword = keyword(input)?;
    let kind = match keyword.to_string().as_str() {
        "struct" => Kind::Struct(Head::read(input)?),
        "enum" => Kind::Enum(Head::read(input)?),
        "union" => Kind::Union(Head::read(input)?),
        "impl" => Kind::Impl(Impl::read(input)?.into()),
        "fn" => Kind::Fn,
        "trait" => Kind::Trait,
        _ => Kind::Other,
    };
    input.parse::<TokenStream>()?; // The rest is not looked at.
    Ok(Item {
        attrs,
        vis,
        keyword,
        kind,
    })
}

/// The word that says what kind of item this is, past `unsafe`, `async`, `extern "C"` and such.
fn keyword(input: ParseStream<'_>) -> Result<Ident> {
    const KINDS: [&str; 10] = [
        "struct", "enum", "union", "impl", "fn", "trait", "mod", "type", "use", "static",
    ];
    loop {
        if input.peek(syn::LitStr) {
            input.parse::<syn::LitStr>()?;
            continue;
        }
        let word = input.call(Ident::parse_any)?;
        if KINDS.iter().any(|kind| word == kind) {
            return Ok(word);
        }
    }
}

impl Head {
    fn read(input: ParseStream<'_>) -> Result<Head> {
        let name = input.call(Ident::parse_any)?;
        let mut generics: Generics = input.parse()?;
        let fields = input.peek(token::Paren).then(|| input.parse());
        let fields = fields.transpose()?;
        generics.where_clause = input.parse()?;
        Ok(Head {
            name,
            generics,
            fields,
            rest: input.parse()?,
        })
    }

    /// The generics with `'static` as their lifetimes' bound, so that Rust does not report, for
    /// each callback, that it lacks what the trait requires.
    pub(crate) fn outliving_everything(&self) -> Generics {
        let mut generics = self.generics.clone();
        for lifetime in generics.lifetimes_mut() {
            let span = lifetime.lifetime.span();
            lifetime.bounds.push(Lifetime::new("'static", span));
        }
        generics
    }
}

impl Impl {
    fn read(input: ParseStream<'_>) -> Result<Impl> {
        let mut generics: Generics = input.parse()?;
        let mut ty: Type = input.parse()?;
        let mut of_trait = None;
        if input.parse::<Option<Token![for]>>()?.is_some() {
            of_trait = Some(ty);
            ty = input.parse()?;
        }
        generics.where_clause = input.parse()?;
        Ok(Impl {
            generics,
            of_trait,
            ty,
        })
    }

    /// The last name of the type, if it has one.
    pub(crate) fn type_name(&self) -> Option<&Ident> {
        match &self.ty {
            Type::Path(ty) => ty.path.segments.last().map(|last| &last.ident),
            _ => None,
        }
    }
}
