//! Load, measurements and comparisons for WebSocket servers on this machine.
//! Knows nothing of any server's inside: it speaks bytes over loopback and reads `/proc`.
//!
//! The binaries are `wsworker-suite` (all servers, all rows, charts), `wsworker-load` (one load, one
//! JSON line), `wsworker-compare` (servers side by side), `wsworker-memory` (bytes a connection, a
//! member, an object), `wsworker-growth` (costs as curves), `wsworker-scale` (a million sockets), `wsworker-storage` (commits a second) and
//! `wsworker-durable` (an object's increments a second). `README.md` tells how and why.

pub mod bare;
pub mod child;
pub mod comparison;
pub mod durable;
pub mod frame;
pub mod growth;
pub mod load;
pub mod machine;
pub mod net;
pub mod process;
pub mod rows;
pub mod sampling;
pub mod scale;
pub mod server;
pub mod stats;
pub mod suite;
pub mod tls;
