//! One connection's life, from the upgrade to the last event.
//! Does not know HTTP, workers or objects: it reads and writes a stream and
//! tells its consumer what happened.
//!
//! `task` drives everything with one `poll`; `life` says how it ends; `handle`
//! and `turn` are the way out; `consumer` is who listens; `hub`, `clock` and
//! `wheel` are what many connections share; `begin` brings all of it together, and
//! `reactor` runs it where a thread has one. `arrivals` is where streams come from.
//!
//! `end` is a socket that nobody has accepted; `pair` two that are each other's
//! peer, `held` what waits for one of them, `relay` two connections joined.
//! `place` is where a test's client finds its server.

mod arrivals;
mod begin;
mod clock;
mod consumer;
mod end;
mod handle;
mod held;
mod hub;
mod life;
mod mailbox;
mod pair;
#[cfg(feature = "testing")]
mod place;
#[cfg(unix)]
mod reactor;
mod relay;
mod stream;
mod task;
mod turn;
mod wheel;

pub(crate) use arrivals::Arrivals;
pub(crate) use begin::{Opener, Opening, Upgraded};
pub(crate) use consumer::{Consumer, Event, Turned};
pub(crate) use end::End;
pub(crate) use handle::Handle;
pub use handle::State;
pub use hub::Slow;
pub(crate) use hub::{Hub, Limits};
pub use mailbox::Event as SocketEvent;
pub(crate) use mailbox::{Collector, Mailbox};
#[cfg(feature = "testing")]
pub(crate) use place::{MemoryListener, Place};
#[cfg(all(feature = "testing", unix))]
pub(crate) use reactor::start as start_reactor;
#[cfg(feature = "testing")]
pub(crate) use stream::Gate;
pub(crate) use stream::Stream;
#[cfg(feature = "tls")]
pub(crate) use stream::TlsStream;
pub(crate) use turn::{Inbox, is_settled, settle_here};

pub(crate) use crate::wire::Role;
