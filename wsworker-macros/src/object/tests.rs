//! The whole expansion: what it looks like, and what every mistake says.
//! Carets and rustc's own errors are tested by the UI tests of `wsworker`.

use proc_macro2::TokenStream;
use quote::quote;

use super::{call_alone, expand, without_feature};
use crate::expansion::{self, tokens};

const ROOM: &str = "struct Room;";

#[test]
fn a_struct_becomes_a_class_with_a_stub() {
    assert_snapshot("", ROOM, include_str!("../snapshots/object/plain.rs"));
}

#[test]
fn options_conditions_and_visibility_are_kept() {
    let args = r#"
        name = "chat.room", hibernate_after = "1m", event_timeout = "500ms", sql, failed = "keep",
        max_sockets = 100_000, max_tags = 3, max_tag = 32, max_attachment = "1 KiB",
        max_key = "64 B", max_value = "1 MiB", max_calls = 10, max_held = "1 MiB",
        crate = "crate::framework",
    "#;
    let item = "/// A room.\n#[cfg(all())] pub(crate) struct Room(u8);";
    assert_snapshot(
        args,
        item,
        include_str!("../snapshots/object/all_options.rs"),
    );
}

#[test]
fn after_a_mistake_the_class_has_the_defaults() {
    assert_snapshot(
        "event_timeout = 1",
        ROOM,
        include_str!("../snapshots/object/fallback.rs"),
    );
}

#[test]
fn a_struct_with_parameters_has_no_stub_of_its_own() {
    assert_snapshot(
        "",
        "struct Room<'a, T>(&'a T);",
        include_str!("../snapshots/object/parameters.rs"),
    );
}

#[test]
fn each_call_has_its_counterpart() {
    let item = "
        #[cfg(all())]
        impl rooms::Room {
            const MOST: usize = 20;

            /// The last lines.
            #[call]
            #[inline]
            pub async fn history(&mut self, mut last: usize, of: [Self; 2]) -> Result<Vec<Line>> {
                Ok(vec![])
            }

            #[cfg(all())]
            #[call]
            async fn r#match(&mut self) -> io::Result<()> { Ok(()) }

            #[doc(hidden)]
            fn other(&self) {}
        }
    ";
    assert_snapshot("", item, include_str!("../snapshots/object/calls.rs"));
}

#[test]
fn after_a_mistake_a_call_can_still_be_called() {
    let item = "
        impl Room {
            #[call]
            pub fn say(self, line: &str, to: Self) -> usize { 1 }
        }
    ";
    assert_snapshot("", item, include_str!("../snapshots/object/stand_in.rs"));
}

#[test]
fn what_is_no_call_is_emitted_as_it_was() {
    for item in [
        "impl Room { #[call] async fn a(&mut self) -> Result<()> { #[call] () } }",
        "impl Room { const A: [u8; { 1 }] = [1]; #[call] async fn a(&mut self) -> Result<()> {} }",
        "impl Room { #[call] async fn a(&mut self) -> Result<()> {} fn b() -> C<{ 1 }> { d! {} } }",
        "impl Room { e! { #[call] } #[call] async fn a(&mut self) -> Result<()> {} #![allow(f)] }",
    ] {
        let wanted = item.replacen("#[call] async", "async", 1);
        let wanted = tokens(&wanted).to_string();
        let expansion = expand(TokenStream::new(), tokens(item)).to_string();
        assert!(expansion.starts_with(&wanted), "{expansion}");
    }
}

#[test]
fn each_wrong_option_shows_the_right_one() {
    for (args, wanted) in [
        ("name", "write `name = \"room\"`"),
        ("name = 1", "write `name = \"room\"`"),
        ("name(\"room\")", "write `name = \"room\"`"),
        ("name = \"\"", "cannot be empty"),
        ("name = \"chat room\"", "cannot hold ' '"),
        (
            "name = \"a\", name = \"b\"",
            "`name` is set twice: keep one",
        ),
        ("hibernate_after = 10", "write `\"10s\"`"),
        ("event_timeout = \"0s\"", "more than zero"),
        ("\"room\"", "such as `name = \"room\"`"),
        (
            "sql = true",
            "`sql` takes no value: write `sql`, or leave it out",
        ),
        ("sql(on)", "`sql` takes no value"),
        ("sql, sql", "`sql` is set twice: keep one"),
        ("max_sockets = 0", "expected a number from 1 to 1000000"),
        ("max_tags = \"ten\"", "expected a number from 1 to 1000"),
        (
            "max_calls",
            "`max_calls` needs a value: write `max_calls = 1024`",
        ),
        ("max_key = \"65 KiB\"", "this is at most 64"),
        ("max_value = \"2 potatoes\"", "is not a size"),
        ("hibernate = \"1s\"", "did you mean `hibernate_after`?"),
        (
            "storage = 1",
            "expected one of `name`, `hibernate_after`, `event_timeout`, `sql`, `failed`, `max_sockets`, \
             `max_tags`, `max_tag`, `max_attachment`, `max_key`, `max_value`, `max_calls`, `max_held`, `crate`",
        ),
        ("crate = 1", "expected a path in a string"),
    ] {
        assert_one_error(args, ROOM, wanted);
    }
}

#[test]
fn each_wrong_place_names_the_right_one() {
    for (item, wanted) in [
        (
            "impl DurableObject for a::Room {}",
            "remove it here, and put it on `struct Room`",
        ),
        ("enum Kind { A }", "`struct MyObject(Kind);`"),
        ("union Both { a: u8 }", "make this union a struct"),
        ("async fn count() {}", "a `#[call]` of an `impl`"),
        ("trait Room {}", "the one that implements `DurableObject`"),
        ("mod rooms {}", "`#[durable_object]` goes on a struct"),
        ("struct Room<'a>(&'a str);", "an object owns its data"),
        (
            "struct Room<const N: usize>;",
            "a class of objects is one type",
        ),
        (
            "struct R\u{f6}\u{f6}m;",
            "`#[durable_object(name = \"room\")]`",
        ),
        (
            "#[wsworker::durable_object] struct Room;",
            "`#[durable_object]` is here twice",
        ),
        ("impl Room {}", "there is no call in this block"),
        (
            "impl Room { fn call() {} }",
            "there is no call in this block",
        ),
    ] {
        assert_one_error("", item, wanted);
    }
}

#[test]
fn each_wrong_block_is_told_what_it_should_be() {
    let call = "{ #[call] async fn a(&mut self) -> Result<()> {} }";
    for (args, head, wanted) in [
        ("", "impl<T> Room", "a class of objects is one type"),
        ("", "impl Room<u8>", "a class of objects is one type"),
        ("", "impl dyn Room", "write its name here"),
        (
            "name = \"room\"",
            "impl Room",
            "write `#[durable_object(name = \"room\")]` on the struct",
        ),
        ("size = 1", "impl Room", "expected one of `crate`"),
    ] {
        assert_one_error(args, &format!("{head} {call}"), wanted);
    }
}

#[test]
fn each_wrong_call_is_told_what_it_should_be() {
    for (call, wanted) in [
        ("#[call] const A: u8 = 1;", "`#[call]` goes on a method"),
        ("#[call] a! {}", "`#[call]` goes on a method"),
        (
            "#[call(x)] async fn a(&mut self) -> Result<()> {}",
            "takes no options",
        ),
        (
            "#[call] #[x] #[call] async fn a(&mut self) -> Result<()> {}",
            "here twice",
        ),
        (
            "#[call] fn a(&mut self) -> Result<()> {}",
            "write `async fn a`",
        ),
        (
            "#[call] async unsafe fn a(&mut self) -> Result<()> {}",
            "write `async fn a`",
        ),
        (
            "#[call] async fn a<T>(&mut self) -> Result<()> {}",
            "no parameters of types",
        ),
        (
            "#[call] async fn a<'a>(&'a mut self) -> Result<()> {}",
            "no parameters of types",
        ),
        (
            "#[call] async fn a() -> Result<()> {}",
            "write `a(&mut self, ...)`",
        ),
        (
            "#[call] async fn a(&self) -> Result<()> {}",
            "write `&mut self`",
        ),
        (
            "#[call] async fn a(mut self) -> Result<()> {}",
            "write `&mut self`",
        ),
        (
            "#[call] async fn a(self: Arc<Self>) -> Result<()> {}",
            "write `&mut self`",
        ),
        (
            "#[call] async fn a(&mut self, b: &str) -> Result<()> {}",
            "write `String`",
        ),
        (
            "#[call] async fn a(&mut self, b: &'static [u8]) -> Result<()> {}",
            "write `Vec<u8>`",
        ),
        (
            "#[call] async fn a(&mut self, b: &mut B) -> Result<()> {}",
            "write `B`",
        ),
        (
            "#[call] async fn a(&mut self, b: Cow<'_, str>) -> Result<()> {}",
            "write a type without `&` and lifetimes",
        ),
        (
            "#[call] async fn a(&mut self, b: (u8, Option<&B>)) -> Result<()> {}",
            "write a type without `&` and lifetimes",
        ),
        (
            "#[call] async fn a(&mut self, b: impl B) -> Result<()> {}",
            "in place of `impl`",
        ),
        (
            "#[call] async fn a(&mut self, (b, c): (B, C)) -> Result<()> {}",
            "an argument of a call has a name",
        ),
        (
            "#[call] async fn a(&mut self, _: B) -> Result<()> {}",
            "an argument of a call has a name",
        ),
        (
            "#[call] async fn a(&mut self, ref b: B) -> Result<()> {}",
            "an argument of a call has a name",
        ),
        (
            "#[call] async fn a(&mut self, #[cfg(b)] b: B) -> Result<()> {}",
            "put the `#[cfg]` on the method",
        ),
        (
            "#[call] async fn a(&mut self) {}",
            "write `a(...) -> Result<()>`",
        ),
        (
            "#[call] async fn a(&mut self) -> u8 {}",
            "write `Result<u8>`",
        ),
        (
            "#[call] async fn a(&mut self) -> (u8, u8) {}",
            "write `Result<(u8, u8)>`",
        ),
        (
            "#[call] async fn a(&mut self) -> fmt::Result {}",
            "write `Result<()>`, or the type",
        ),
        (
            "#[call] async fn a(&mut self) -> Result<&B> {}",
            "write `B`",
        ),
        (
            "#[call] async fn fetch(&mut self) -> Result<()> {}",
            "give this call another name",
        ),
        (
            "#[call] async fn clone(&mut self) -> Result<()> {}",
            "give this call another name",
        ),
    ] {
        assert_one_error("", &format!("impl Room {{ {call} }}"), wanted);
    }
}

#[test]
fn every_mistake_of_a_call_is_reported() {
    let item = "impl Room {
        #[call] fn a(&self, b: &str, _: u8) -> u8 {}
        #[call] async fn c(&mut self) -> Result<()> {}
        #[call] async fn id(&mut self) -> Result<()> {}
    }";
    let errors = errors("name = \"room\"", item);
    assert_eq!(errors.len(), 7, "{errors:#?}");
}

#[test]
fn a_static_lifetime_is_no_loan() {
    let item = "impl Room {
        #[call] async fn a(&mut self, b: Cow<'static, str>) -> Result<Cow<'static, str>> {}
    }";
    assert_eq!(errors("", item), [""; 0]);
}

#[test]
fn a_call_alone_says_where_it_goes() {
    let expansion = call_alone(&tokens("fn a() {}"));
    let errors = expansion::errors(expansion.clone());
    assert!(errors[0].contains("put that on the block"), "{errors:#?}");
    assert!(expansion.to_string().ends_with("fn a () { }"));
}

#[test]
fn without_the_feature_it_says_which() {
    for (item, kept) in [(ROOM, "struct Room ;"), ("impl Room {}", "")] {
        let expansion = without_feature(&tokens(item));
        let errors = expansion::errors(expansion.clone());
        assert!(
            errors[0].contains("features = [\"objects\"]"),
            "{errors:#?}"
        );
        assert!(expansion.to_string().ends_with(kept), "{expansion}");
    }
}

#[test]
fn what_a_declarative_macro_passes_on_is_read() {
    // A `$ty:ty` comes in an invisible group.
    let ty = proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!(Result<u8>));
    let item = quote! {
        impl Room {
            #[call]
            async fn a(&mut self) -> #ty {}
        }
    };
    let errors = expansion::errors(expand(TokenStream::new(), item));
    assert_eq!(errors, [""; 0]);
}

fn assert_one_error(args: &str, item: &str, wanted: &str) {
    let errors = errors(args, item);
    assert_eq!(errors.len(), 1, "{args} {item}: {errors:#?}");
    assert!(errors[0].contains(wanted), "{args} {item}: {errors:#?}");
}

fn errors(args: &str, item: &str) -> Vec<String> {
    expansion::errors(expand(tokens(args), tokens(item)))
}

fn assert_snapshot(args: &str, item: &str, wanted: &str) {
    expansion::assert_snapshot(expand(tokens(args), tokens(item)), wanted);
}
