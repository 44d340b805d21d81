//! The whole expansion: what it looks like, and what every mistake says.
//! Carets and rustc's own errors are tested by the UI tests of `wsworker`.

use proc_macro2::TokenStream;
use quote::quote;

use super::expand;
use crate::expansion::{self, tokens};

const ECHO: &str = "#[derive(Clone)] struct Echo;";

#[test]
fn the_plain_expansion_is_a_marker() {
    assert_snapshot("", ECHO, include_str!("../snapshots/worker/plain.rs"));
}

#[test]
fn every_option_becomes_a_constant() {
    let args = r#"
        max_message = "1 MiB", max_buffered = 65_536, slow = "drop", idle_timeout = "2m", failed = "keep",
        handshake_timeout = "500ms", protocols("chat.v2", "chat.v1"),
        origins("https://a.example",), objects(Room, rooms::Lobby), crate = "crate::framework",
    "#;
    assert_snapshot(
        args,
        ECHO,
        include_str!("../snapshots/worker/all_options.rs"),
    );
}

#[test]
fn generics_bounds_and_conditions_are_kept() {
    let item = r#"
        /// A room.
        #[cfg(all())]
        #[derive(Clone)]
        pub(crate) struct Room<T: Clone = u8, const N: usize = { 1 + 1 }>(Arc<[T; N]>)
        where
            T: Send + 'static;
    "#;
    assert_snapshot(
        "slow = \"close\"",
        item,
        include_str!("../snapshots/worker/generics.rs"),
    );
}

#[test]
fn after_a_mistake_the_marker_has_no_bound() {
    assert_snapshot(
        "slow = 1",
        ECHO,
        include_str!("../snapshots/worker/fallback.rs"),
    );
}

#[test]
fn every_mistake_is_reported() {
    let args = "max_mesage = 1, max_message = 0, , slow, protocols(1, \"a b\") idle_timeout = 1";
    let errors = errors(args, ECHO);
    assert_eq!(errors.len(), 5, "{errors:#?}");
    assert!(errors[0].starts_with("unknown option `max_mesage`, did you mean `max_message`?"));
    assert!(errors[1].starts_with("a size is more than zero"));
    assert!(errors[2].starts_with("expected an option before this `,`"));
    assert!(errors[3].starts_with("`slow` needs a value: write `slow = \"close\"`"));
    assert!(errors[4].starts_with("expected `,` before this"));
}

#[test]
fn a_mistake_in_the_options_and_one_in_the_place_are_both_reported() {
    let errors = errors("slow = 1", "enum Kind { A }");
    assert_eq!(errors.len(), 2, "{errors:#?}");
}

#[test]
fn what_is_set_on_the_server_is_told_so() {
    for name in ["max_body", "data", "storage", "secret", "tls"] {
        let wanted = format!("`{name}` is set on the server: write `Server::new(...).{name}(...)`");
        assert_eq!(errors(&format!("{name} = 1"), ECHO), [wanted]);
    }
}

#[test]
fn each_wrong_form_shows_the_right_one() {
    for (args, wanted) in [
        ("max_message", "write `max_message = \"1 MiB\"`"),
        ("max_message =", "write `max_message = \"1 MiB\"`"),
        ("max_message(\"1 MiB\")", "write `max_message = \"1 MiB\"`"),
        (
            "max_message = SIZE",
            "expected a literal: write `max_message = \"1 MiB\"`",
        ),
        (
            "max_message = 1024 * 1024",
            "expected a literal: write `max_message = \"1 MiB\"`",
        ),
        ("max_message = -1", "more than zero"),
        ("max_message = 1.5", "this is not a size"),
        ("max_message = 32MiB", "write `\"32MiB\"`"),
        ("max_message = \"5 GiB\"", "at most 4 GiB"),
        (
            "max_message = 1 slow = \"drop\"",
            "expected `,` before this",
        ),
        (
            "max_message: 1",
            "expected `=`, `(` or `,` after `max_message`",
        ),
        ("\"1 MiB\"", "expected an option, such as"),
        ("idle_timeout = 120", "write `\"120s\"`"),
        ("idle_timeout = 2m", "write `\"2m\"`"),
        ("idle_timeout = \"2\"", "write `\"2s\"`"),
        ("idle_timeout = true", "this is not a time"),
        ("slow = \"block\"", "`\"drop\"`"),
        ("slow = drop", "write `slow = \"close\"`"),
        ("protocols", "write `protocols(\"chat.v1\")`"),
        ("objects", "write `objects(Room)`"),
        ("objects()", "`objects` is empty"),
        ("objects = Room", "write `objects(Room)`"),
        ("objects(\"Room\")", "write `Room`, without quotes"),
        ("objects(1)", "expected a type, as in `objects(Room)`"),
        ("objects(Room Lobby)", "expected `,` before this"),
        ("objects(Room,, Lobby)", "expected a type before this `,`"),
        ("objects(a::Room, a::Room)", "is listed twice: keep one"),
        ("protocols()", "`protocols` is empty"),
        ("protocols = \"a\"", "write `protocols(\"chat.v1\")`"),
        (
            "protocols(a)",
            "expected a string, as in `protocols(\"chat.v1\")`",
        ),
        ("protocols(\"a\" \"b\")", "expected `,` before this"),
        (
            "protocols(\"a\",, \"b\")",
            "expected a string before this `,`",
        ),
        ("protocols(\"a\", \"a\")", "`a` is listed twice"),
        (
            "protocols(\"a\"), protocols(\"b\")",
            "put everything in one list",
        ),
        (
            "slow = \"drop\", slow = \"drop\"",
            "`slow` is set twice: keep one",
        ),
        ("origins()", "`origins` is empty"),
        ("origins(\"*\")", "accept_any_origin"),
        (
            "crate = framework",
            "write `crate = \"path::to::wsworker\"`",
        ),
        ("crate = \"1\"", "expected a path in a string"),
        (
            "close_timeout = \"5s\"",
            "`Server::new(...).close_timeout(...)`",
        ),
        ("compress", "expected one of `max_message`, `max_buffered`,"),
    ] {
        let errors = errors(args, ECHO);
        assert_eq!(errors.len(), 1, "{args}: {errors:#?}");
        assert!(errors[0].contains(wanted), "{args}: {errors:#?}");
    }
}

#[test]
fn each_wrong_place_names_the_right_one() {
    for (item, wanted) in [
        ("impl Worker for Echo {}", "move it to `struct Echo`"),
        (
            "impl<T> a::Worker for b::Echo<T> where T: Send {}",
            "move it to `struct Echo`",
        ),
        ("impl Echo {}", "move it to `struct Echo`"),
        ("pub enum Kind<T> { A(T) }", "`struct MyWorker(Kind);`"),
        ("union Both { a: u8 }", "make this union a struct"),
        (
            "pub async unsafe fn fetch() {}",
            "make this function `on_message`",
        ),
        (
            "extern \"C\" fn fetch() {}",
            "make this function `on_message`",
        ),
        (
            "unsafe trait Room {}",
            "put it on the one that implements `Worker`",
        ),
        ("mod room {}", "`#[worker]` goes on a struct"),
        ("const N: u8 = 1;", "`#[worker]` goes on a struct"),
        (
            "struct Echo<'a>(&'a str);",
            "such as `Arc<str>` for `&'a str`",
        ),
        (
            "#[wsworker::worker] struct Echo;",
            "`#[worker]` is here twice",
        ),
    ] {
        let errors = errors("", item);
        assert_eq!(errors.len(), 1, "{item}: {errors:#?}");
        assert!(errors[0].contains(wanted), "{item}: {errors:#?}");
    }
}

#[test]
fn the_item_is_emitted_as_it_was() {
    for item in [
        "#[derive(Clone)] pub struct r#type { pub a: [u8; if true { 1 } else { 2 }] }",
        "enum Kind { A }",
        "impl Worker for Echo { async fn on_message(&mut self) { } }",
        "fn f() { }",
    ] {
        let item = tokens(item);
        let expansion = expand(TokenStream::new(), item.clone()).to_string();
        assert!(expansion.starts_with(&item.to_string()), "{expansion}");
    }
}

#[test]
fn a_lifetime_is_bound_so_that_its_callbacks_fit() {
    let item = "#[derive(Clone)] pub struct Echo<'a, T: 'a = u8>(&'a T) where T: Copy;";
    assert_snapshot("", item, include_str!("../snapshots/worker/lifetime.rs"));
}

#[test]
fn what_a_declarative_macro_passes_on_is_read() {
    // A `$size:literal` comes in an invisible group.
    let literal = proc_macro2::Group::new(proc_macro2::Delimiter::None, quote!("1 KiB"));
    let expansion = expand(
        quote!(max_message = #literal),
        quote!(
            struct Echo;
        ),
    )
    .to_string();
    assert!(expansion.contains("1024usize"), "{expansion}");
}

fn errors(args: &str, item: &str) -> Vec<String> {
    expansion::errors(expand(tokens(args), tokens(item)))
}

fn assert_snapshot(args: &str, item: &str, wanted: &str) {
    expansion::assert_snapshot(expand(tokens(args), tokens(item)), wanted);
}
