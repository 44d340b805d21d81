//! What the code that the attributes generate refers to. No part of the public
//! interface: it may change with every release.

pub use crate::connection::Slow;
#[cfg(feature = "testing")]
pub use crate::connection::settle_here;
#[cfg(feature = "objects")]
pub use crate::object::{Called, Class, ObjectOptions, Registration, remote};
pub use crate::worker::{Annotated, CloneForEachRequest, Entry, Options, entrypoint};
