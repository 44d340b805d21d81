//! Whether an attribute that marks a type may stand where it stands, and the type.
//! Does not read the item; `item` does.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Attribute, Error, Generics, Visibility};

use crate::item::{Head, Impl, Item, Kind};

/// What differs from one attribute to another.
pub(crate) struct Role {
    /// The attribute's name.
    pub(crate) attribute: &'static str,
    pub(crate) of_trait: &'static str,
    /// What a struct that wraps something may be called.
    pub(crate) wrapper: &'static str,
    /// What a function should be instead.
    pub(crate) method: &'static str,
    /// Who owns the data, and how long it lives.
    pub(crate) owner: &'static str,
    /// Whether the attribute stands on a block of methods too.
    pub(crate) on_impl: bool,
}

/// The type to mark, as far as it could be read.
pub(crate) struct Target {
    /// The type without its generics, or an `impl`'s with them. Empty where there is none.
    pub(crate) ty: TokenStream,
    /// The name of the type, where it is defined here.
    pub(crate) name: Option<Ident>,
    /// Whether the names of `generics` follow `ty`.
    ty_takes_generics: bool,
    pub(crate) generics: Generics,
    pub(crate) vis: Visibility,
    pub(crate) cfgs: Vec<Attribute>,
    /// Why the attribute may not stand here.
    pub(crate) mistake: Option<Error>,
    /// What to emit after that mistake, if not the item itself.
    stand_in: Option<TokenStream>,
}

impl Role {
    pub(crate) fn target(&self, item: TokenStream) -> Target {
        match Item::read(item.clone()) {
            Ok(item) => self.target_of(&item),
            Err(_) => {
                let word = item.into_iter().next();
                Target::none().but(word, &self.on_a_struct())
            }
        }
    }

    pub(crate) fn target_of(&self, item: &Item) -> Target {
        let target = match &item.kind {
            Kind::Struct(head) => self.of_struct(item, head),
            Kind::Enum(head) => {
                let (on_a_struct, wrapper) = (self.on_a_struct(), self.wrapper);
                let name = &head.name;
                let message = format!(
                    "{on_a_struct}: wrap this enum in one, as in `struct {wrapper}({name});`"
                );
                Target::of(head).but(&item.keyword, &message)
            }
            Kind::Union(head) => {
                let on_a_struct = self.on_a_struct();
                let message = format!("{on_a_struct}: make this union a struct, or wrap it in one");
                Target::of(head).but(&item.keyword, &message)
            }
            Kind::Impl(block) => self.of_impl(item, block),
            Kind::Fn => {
                let (on_a_struct, method) = (self.on_a_struct(), self.method);
                let message = format!("{on_a_struct}: make this function {method}");
                Target::none().but(&item.keyword, &message)
            }
            Kind::Trait => {
                let (on_a_struct, of_trait) = (self.on_a_struct(), self.of_trait);
                let message =
                    format!("{on_a_struct}: put it on the one that implements `{of_trait}`");
                Target::none().but(&item.keyword, &message)
            }
            Kind::Other => Target::none().but(&item.keyword, &self.on_a_struct()),
        };
        Target {
            cfgs: item.cfgs(),
            vis: item.vis.clone(),
            ..target
        }
    }

    fn of_struct(&self, item: &Item, head: &Head) -> Target {
        if let Some(again) = item.attribute(self.attribute) {
            // The second one marks the type.
            let name = self.attribute;
            let message = format!("`#[{name}]` is here twice: keep one, with all the options");
            return Target::none().but(again, &message);
        }
        let Some(lifetime) = head.generics.lifetimes().next() else {
            return Target::of(head);
        };
        let (name, owner) = (&lifetime.lifetime, self.owner);
        let message = format!(
            "{owner}: remove `{name}` and share with `Arc`, such as `Arc<str>` for `&{name} str`"
        );
        let generics = head.outliving_everything();
        Target {
            stand_in: Some(item.with(head, &generics)),
            generics,
            ..Target::of(head).but(name, &message)
        }
    }

    fn of_impl(&self, item: &Item, block: &Impl) -> Target {
        let attribute = self.attribute;
        let message = match block.type_name() {
            Some(name) if self.on_impl => format!(
                "`#[{attribute}]` goes on the struct and on an `impl {name}`: remove it here, and \
                 put it on `struct {name}`"
            ),
            Some(name) => format!(
                "`#[{attribute}]` goes on the struct, not on its `impl`: move it to `struct {name}`"
            ),
            None => self.on_a_struct(),
        };
        // If the struct may have it as well, it may be marked already.
        let ty = (!self.on_impl).then_some(&block.ty);
        Target {
            ty: ty.to_token_stream(),
            generics: block.generics.clone(),
            ..Target::none().but(&item.keyword, &message)
        }
    }

    fn on_a_struct(&self) -> String {
        format!("`#[{}]` goes on a struct", self.attribute)
    }
}

impl Target {
    fn of(head: &Head) -> Target {
        Target {
            ty: head.name.to_token_stream(),
            name: Some(head.name.clone()),
            ty_takes_generics: true,
            generics: head.generics.clone(),
            ..Target::none()
        }
    }

    fn none() -> Target {
        Target {
            ty: TokenStream::new(),
            name: None,
            ty_takes_generics: false,
            generics: Generics::default(),
            vis: Visibility::Inherited,
            cfgs: Vec::new(),
            mistake: None,
            stand_in: None,
        }
    }

    fn but(self, place: impl ToTokens, message: &str) -> Target {
        Target {
            mistake: Some(Error::new_spanned(place, message)),
            ..self
        }
    }

    /// What is emitted of the item itself.
    pub(crate) fn item<'a>(&'a self, item: &'a TokenStream) -> &'a TokenStream {
        self.stand_in.as_ref().unwrap_or(item)
    }

    /// The `impl` of a trait for this type.
    pub(crate) fn implement(&self, of_trait: &TokenStream, body: &TokenStream) -> TokenStream {
        let (cfgs, ty) = (&self.cfgs, &self.ty);
        let (impl_generics, ty_generics, where_clause) = self.generics.split_for_impl();
        let ty_generics = self.ty_takes_generics.then_some(ty_generics);
        quote! {
            #(#cfgs)*
            #[automatically_derived]
            impl #impl_generics #of_trait for #ty #ty_generics #where_clause {
                #body
            }
        }
    }
}
