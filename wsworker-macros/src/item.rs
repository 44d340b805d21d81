//! What the attribute stands on, and whether it may.
//! Reads the head of the item only (attributes, name, generics), never its fields or bodies.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Generics, Lifetime, Result, Token, Type, Visibility, token};

/// The type to mark, as far as it could be read.
#[derive(Default)]
pub(crate) struct Target {
    /// The type without its generics, or an `impl`'s with them. Empty where there is none.
    pub(crate) ty: TokenStream,
    /// Whether the names of `generics` follow `ty`.
    pub(crate) ty_takes_generics: bool,
    pub(crate) generics: Generics,
    /// The item's own conditions, which hold for its marker too.
    pub(crate) cfgs: Vec<Attribute>,
    /// Why the attribute may not stand here.
    pub(crate) mistake: Option<Error>,
    /// What to emit after that mistake, if not the item itself.
    pub(crate) stand_in: Option<TokenStream>,
}

impl Target {
    pub(crate) fn of(item: TokenStream) -> Target {
        let whole = item.clone();
        Parser::parse2(read, item).unwrap_or_else(|_| {
            // Rust itself parsed the item, so this is a kind of item that is unknown here.
            let word = whole.into_iter().next();
            Target::default().but(word, "`#[worker]` goes on a struct")
        })
    }

    fn but(self, place: impl ToTokens, message: &str) -> Target {
        Target {
            mistake: Some(Error::new_spanned(place, message)),
            ..self
        }
    }
}

fn read(input: ParseStream<'_>) -> Result<Target> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis: Visibility = input.parse()?;
    let keyword = keyword(input)?;
    let mut target = match keyword.to_string().as_str() {
        "struct" => read_struct(input, &attrs, &quote!(#(#attrs)* #vis #keyword))?,
        "enum" => {
            let target = Head::read(input)?.target();
            let message = format!(
                "`#[worker]` goes on a struct: wrap this enum in one, as in `struct MyWorker({});`",
                target.ty
            );
            target.but(keyword, &message)
        }
        "union" => Head::read(input)?.target().but(
            keyword,
            "`#[worker]` goes on a struct: make this union a struct, or wrap it in one",
        ),
        "impl" => read_impl(input, &keyword)?,
        "fn" => Target::default().but(
            keyword,
            "`#[worker]` goes on a struct: make this function `on_message` (or `fetch`) of an \
             `impl Worker` for it",
        ),
        "trait" => Target::default().but(
            keyword,
            "`#[worker]` goes on a struct: put it on the one that implements `Worker`",
        ),
        _ => Target::default().but(keyword, "`#[worker]` goes on a struct"),
    };
    input.parse::<TokenStream>()?; // The rest is not looked at.
    target.cfgs = attrs
        .into_iter()
        .filter(|attr| attr.path().is_ident("cfg"))
        .collect();
    Ok(target)
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

/// A type's name and generics, with the `where` that comes before or after its fields.
struct Head {
    name: Ident,
    generics: Generics,
    /// Those of a tuple struct, which stand before the `where`.
    fields: Option<TokenTree>,
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
        })
    }

    fn target(self) -> Target {
        Target {
            ty: self.name.to_token_stream(),
            ty_takes_generics: true,
            generics: self.generics,
            ..Target::default()
        }
    }

    /// The struct with `'static` as its lifetimes' bound, so that Rust does not report, for each
    /// callback, that it lacks what `Worker` requires.
    fn outliving_everything(&mut self, start: &TokenStream, rest: &TokenStream) -> TokenStream {
        for lifetime in self.generics.lifetimes_mut() {
            let span = lifetime.lifetime.span();
            lifetime.bounds.push(Lifetime::new("'static", span));
        }
        let (name, generics, fields) = (&self.name, &self.generics, &self.fields);
        let where_clause = &generics.where_clause;
        quote!(#start #name #generics #fields #where_clause #rest)
    }
}

fn read_struct(input: ParseStream<'_>, attrs: &[Attribute], start: &TokenStream) -> Result<Target> {
    let mut head = Head::read(input)?;
    let rest: TokenStream = input.parse()?;
    let again = attrs.iter().map(Attribute::path).find(|path| {
        let name = path.segments.last().map(|segment| &segment.ident);
        name.is_some_and(|name| name == "worker")
    });
    if let Some(again) = again {
        // The second one marks the type.
        let message = "`#[worker]` is here twice: keep one, with all the options";
        return Ok(Target::default().but(again, message));
    }
    let Some(lifetime) = head.generics.lifetimes().next() else {
        return Ok(head.target());
    };
    let name = lifetime.lifetime.clone();
    let message = format!(
        "a worker owns its data, it lives as long as its connection: remove `{name}` and share \
         with `Arc`, such as `Arc<str>` for `&{name} str`"
    );
    Ok(Target {
        stand_in: Some(head.outliving_everything(start, &rest)),
        ..head.target().but(name, &message)
    })
}

fn read_impl(input: ParseStream<'_>, keyword: &Ident) -> Result<Target> {
    let mut generics: Generics = input.parse()?;
    let mut ty: Type = input.parse()?;
    if input.parse::<Option<Token![for]>>()?.is_some() {
        ty = input.parse()?;
    }
    generics.where_clause = input.parse()?;
    let name = match &ty {
        Type::Path(ty) => ty.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    };
    let message = match name {
        Some(name) => {
            format!("`#[worker]` goes on the struct, not on its `impl`: move it to `struct {name}`")
        }
        None => "`#[worker]` goes on a struct".to_owned(),
    };
    let target = Target {
        ty: ty.into_token_stream(),
        generics,
        ..Target::default()
    };
    Ok(target.but(keyword, &message))
}
