//! What the code that the attributes generate refers to. No part of the public
//! interface: it may change with every release.

pub use crate::connection::Slow;
#[cfg(feature = "objects")]
pub use crate::object::{Called, Class, ObjectOptions, Registration, remote};
pub use crate::worker::{Annotated, CloneForEachRequest, Entry, Options, entrypoint};

/// Makes this thread, for as long as what it gives lives, one of those that drive a
/// runtime alone, as the threads of `Server::run` do.
#[cfg(feature = "testing")]
pub fn settle_here() -> impl Sized {
    crate::connection::settle_here()
}

/// Starts such a thread's reactor, which is one task, before its first connection does.
#[cfg(all(feature = "testing", unix))]
pub fn start_reactor() {
    crate::connection::start_reactor();
}
