//! How connections end (RFC 6455 §5.5.1, §7): by the peer, by us, by a failure.
//! Does not treat shutting the server down: that is `serve`.

mod behind;
mod failures;
mod gone;
mod kept;
mod ours;
mod theirs;
