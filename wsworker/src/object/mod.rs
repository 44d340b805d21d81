//! Durable Objects: one live instance for each name, an event at a time, each event a
//! transaction.
//!
//! `class` is what users implement and `context`, `state` (its keys in order: `list`), `sql` (its
//! rows: `cursor`) and `sockets` what they get; `stub` is the way in for calls (`remote` carries
//! them by value, `asked` sees to their end), `consumer` for a socket's events, `alarm` for time.
//! All of them become events, which `cell` runs in the object's turn: `event` is what one has done
//! so far, `effects` what nobody may see yet, `commits` makes it durable, and `gate` lets it out
//! then: to `outgoing`, which sends it, and to many sockets by `fanout`. `core` stays while the
//! value is not there, and `store` is where its state lies; `objects` is what they share.

mod alarm;
mod asked;
mod cell;
mod class;
mod commits;
mod consumer;
mod context;
mod core;
mod cursor;
mod effects;
mod event;
mod fanout;
mod gate;
mod id;
mod jobs;
mod list;
mod member;
mod objects;
mod outgoing;
pub mod remote;
mod sockets;
mod sql;
mod state;
mod store;
mod stub;
mod waits;

pub use self::alarm::AlarmInfo;
pub use self::class::{Class, DurableObject, ObjectOptions, Registration};
pub use self::context::ObjectContext;
pub use self::cursor::Cursor;
#[cfg(feature = "client")]
pub(crate) use self::event::settle_running;
pub use self::id::ObjectId;
pub use self::jobs::Called;
pub use self::list::ListOptions;
pub(crate) use self::objects::Objects;
pub use self::sockets::Sockets;
pub use self::sql::{Sql, SqlParams};
pub use self::state::ObjectStorage;
pub use self::stub::{Namespace, Stub};
