//! A secret's value, and a file that holds one.
//! Does not keep it out of memory or swap: only out of what is shown.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

/// A key, a token, a password: shown by nothing but [`expose`](Self::expose).
/// It has no `Display`, and its `Debug` hides it. A clone is cheap.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The value itself. What becomes of it is up to the caller.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is it this text? Takes as long whatever the text is, so that nobody can
    /// find the secret byte by byte: right for a token that came with a request.
    pub fn is(&self, text: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), text.as_bytes());
        // Over all of theirs, whose length is no secret to them.
        let differences = theirs.iter().enumerate().fold(0, |seen, (at, byte)| {
            let own = ours
                .get(at % ours.len().max(1))
                .copied()
                .unwrap_or_default();
            std::hint::black_box(seen | (own ^ byte))
        });
        differences == 0 && ours.len() == theirs.len()
    }
}

/// Nothing of it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The secret in a file; else what is wrong with it, to follow its name.
pub(super) fn read(path: &str) -> Result<Secret, String> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| {
        let mut bounded = file.take(MAX_SIZE as u64 + 1);
        bounded.read_to_end(&mut content)
    });
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if content.len() > MAX_SIZE {
        return Err(format!("has more than {MAX_SIZE} bytes"));
    }
    let Ok(text) = std::str::from_utf8(&content) else {
        return Err("is not UTF-8".to_owned());
    };
    // As an editor or `echo` leaves it.
    let text = text.strip_suffix('\n').unwrap_or(text);
    match text.strip_suffix('\r').unwrap_or(text) {
        "" => Err("is empty".to_owned()),
        secret => Ok(Secret::new(secret)),
    }
}

/// Docker and Kubernetes allow 500 KB and 1 MiB; no key or token is so large.
const MAX_SIZE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_compared_as_a_whole() {
        let secret = Secret::new("s3cret");
        assert!(secret.is("s3cret"));
        for other in ["", "s", "s3cre", "s3cretx", "s3crets3cret", "S3cret"] {
            assert!(!secret.is(other), "{other}");
        }
        assert!(Secret::new("").is(""));
        assert!(!Secret::new("").is("x"));
    }
}
