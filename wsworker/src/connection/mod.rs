//! One connection's life, from the upgrade to the last event.
//! Does not know HTTP, workers or objects: it reads and writes a stream and
//! tells its consumer what happened.
//!
//! `task` drives everything with one `poll`; `life` says how it ends; `handle`
//! and `turn` are the way out; `consumer` is who listens; `hub` and `wheel` are
//! what a thread's connections share.

mod consumer;
mod handle;
mod hub;
mod life;
mod stream;
mod task;
mod turn;
mod wheel;

pub(crate) use consumer::{Consumer, Event, Turned};
pub(crate) use handle::Handle;
pub use handle::State;
pub use hub::Slow;
pub(crate) use hub::{Hub, Limits};
pub(crate) use stream::Stream;
#[cfg(feature = "tls")]
pub(crate) use stream::TlsStream;
pub(crate) use task::{Connection, Upgraded};
pub(crate) use turn::Inbox;
