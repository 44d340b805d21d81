//! What whoever runs the program must hear, also where nobody collects logs.
//! Not for what one peer does or suffers.

/// Something that should be looked at.
pub(crate) fn warn(what: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{what}");
    } else {
        eprintln!("wsworker: {what}");
    }
}

/// Something that must be put right.
#[cfg(feature = "tls")]
pub(crate) fn error(what: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{what}");
    } else {
        eprintln!("wsworker: {what}");
    }
}
