//! Guides, only in the documentation. No code of the library is here.

#[doc = include_str!("coming_from_workers.md")]
pub mod coming_from_workers {}

#[cfg(feature = "objects")]
#[doc = include_str!("durable_objects.md")]
pub mod durable_objects {}
