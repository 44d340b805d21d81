//! The rules of RFC 6455 as values and pure functions.
//! Does no I/O and knows no tokio; frames are `wire`'s.

pub(crate) mod close;
pub(crate) mod handshake;
pub(crate) mod message;
