//! The attribute macros of `wsworker`: they check what is written at compile time.
//! Holds no runtime code and is not for direct use: `wsworker` re-exports what is here.

use proc_macro::TokenStream;

mod count;
#[cfg(test)]
mod expansion;
mod item;
mod object;
mod option;
mod options;
mod origin;
mod place;
mod size;
mod text;
mod time;
mod worker;

/// Makes a struct a worker, and sets its options.
///
/// It goes on the struct; the callbacks go into an `impl Worker` for it. The struct itself is
/// left as it is, and must be [`Clone`]: its value is cloned for each request.
///
/// ```ignore
/// use wsworker::prelude::*;
///
/// #[worker(max_message = "64 KiB", idle_timeout = "5m", protocols("chat.v2", "chat.v1"))]
/// #[derive(Clone)]
/// struct Echo;
///
/// impl Worker for Echo {
///     async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
///         ws.send(message)
///     }
/// }
/// ```
///
/// # Options
///
/// Every option is optional, and is checked while the program compiles. A method of `Server`
/// with the same name overrides it, and with `run` so does a variable of the environment.
///
/// | Option | Unit | Default | Meaning |
/// | --- | --- | --- | --- |
/// | `max_message = "1 MiB"` | size | 1 MiB | The largest message that a peer may send, at most 4 GiB. A larger one closes the connection with 1009. |
/// | `max_buffered = "1 MiB"` | size | 1 MiB | How much may wait to be sent to one peer before `send` is an error. |
/// | `slow = "close"` | `"close"` or `"drop"` | `"close"` | What a broadcast does with a peer whose queue is full: close it with 1013, or drop that message for it. |
/// | `failed = "close"` | `"close"` or `"keep"` | `"close"` | What becomes of a socket whose `on_open` or `on_message` gave an error: it is closed with 1011, or goes on; either way `on_error` is told first. After a panic it is closed in any case. |
/// | `idle_timeout = "2m"` | time | 2 minutes | A connection without a byte for so long is dropped; it is pinged at half of it. |
/// | `handshake_timeout = "10s"` | time | 10 seconds | How long a peer may take to send the head of its request. |
/// | `protocols("chat.v2", "chat.v1")` | list of tokens | none | The subprotocols that this worker speaks, best first. |
/// | `origins("https://a.example")` | list of origins | the server's own | Which other sites' pages may connect: `scheme://host` or `scheme://host:port`. |
/// | `objects(Room, Lobby)` | list of types | none | The Durable Objects that the server has, with the feature `objects`; each has `#[durable_object]`. |
/// | `crate = "path"` | path | `"::wsworker"` | Where the `wsworker` crate is, when it is renamed or re-exported. |
///
/// A *size* is a string with a unit, such as `"512 KiB"`, `"32MiB"` or `"1 GB"`, or an integer:
/// a number of bytes. A *time* is a string with a unit, such as `"500ms"`, `"10s"` or
/// `"1m 30s"`, in whole milliseconds. Neither may be zero. A *token* is a name as in RFC 9110
/// §5.6.2, without spaces, commas or quotes.
///
/// An attribute sees only what is written in it, so constants do not work here; give those to
/// the methods of `Server`.
///
/// ```ignore
/// #[worker(
///     max_message = 65_536,
///     max_buffered = "4 MiB",
///     slow = "drop",
///     idle_timeout = "90s",
///     handshake_timeout = "5s",
///     protocols("chat.v1"),
///     origins("https://a.example", "http://localhost:3000"),
///     crate = "my_framework::wsworker"
/// )]
/// #[derive(Clone)]
/// struct Chat {
///     name: String,
/// }
/// ```
#[proc_macro_attribute]
pub fn worker(args: TokenStream, item: TokenStream) -> TokenStream {
    worker::expand(args.into(), item.into()).into()
}

#[doc = include_str!("durable_object.md")]
#[proc_macro_attribute]
pub fn durable_object(args: TokenStream, item: TokenStream) -> TokenStream {
    object::expand(args.into(), item.into()).into()
}

/// Marks a method that others call, in an `impl` block that has
/// [`#[durable_object]`](macro@durable_object).
///
/// It has no meaning of its own: anywhere else it is an error.
#[proc_macro_attribute]
pub fn call(_: TokenStream, item: TokenStream) -> TokenStream {
    object::call_alone(&item.into()).into()
}

/// What `wsworker` calls `durable_object` where its feature `objects` is off: an error that says
/// so.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn durable_object_without_feature(_: TokenStream, item: TokenStream) -> TokenStream {
    object::without_feature(&item.into()).into()
}
