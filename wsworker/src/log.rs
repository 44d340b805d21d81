//! What whoever runs the program must hear, also where nobody collects logs.
//! Not for what one peer does or suffers.

use std::time::Duration;

use tokio::time::Instant;

/// Something that should be looked at.
pub(crate) fn warn(what: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{what}");
    } else {
        eprintln!("wsworker: {what}");
    }
}

/// As `warn`, of what somebody else says where nobody collects logs.
pub(crate) fn warn_collected(what: &str) {
    tracing::warn!("{what}");
}

/// A trouble that comes again with each connection while it lasts: it is warned of at
/// most once in ten seconds.
#[derive(Default)]
pub(crate) struct Lasting {
    warned: Option<Instant>,
}

impl Lasting {
    pub(crate) fn warn(&mut self, what: &str) {
        if self.warned.is_none_or(|at| at.elapsed() >= QUIET) {
            self.warned = Some(Instant::now());
            warn(what);
        }
    }
}

/// Something that must be put right.
pub(crate) fn error(what: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{what}");
    } else {
        eprintln!("wsworker: {what}");
    }
}

const QUIET: Duration = Duration::from_secs(10);
