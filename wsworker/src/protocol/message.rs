//! A message: text that is UTF-8, or bytes.
//! Does not know frames or compression.

use std::fmt;

use bytes::Bytes;

/// A message: text, known to be UTF-8, or binary.
///
/// Cheap to clone: clones share the payload. Keeping one that came from a peer
/// never pins more than 16 times its size.
///
/// ```
/// use wsworker::Message;
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// assert_eq!(Message::binary(vec![1, 2]).as_text(), None);
/// ```
// Five words and no padding. A message is moved several times between the buffer
// and the callback, and a load of other bytes than were just stored together waits
// for them: with short payloads held inline, or the kind in one byte, that cost
// more than an allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    kind: Kind,
    bytes: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Kind {
    Text,
    Binary,
}

impl Message {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(true, Bytes::from(text.into().into_bytes()))
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self::new(false, bytes.into())
    }

    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        // Checked when it was made; asked again, as that costs less with SIMD than an
        // `unsafe` block that takes it for granted.
        let text = self
            .is_text()
            .then(|| simdutf8::basic::from_utf8(self.as_bytes()));
        text.map(|text| text.expect("a text message is UTF-8"))
    }

    /// The payload, of either kind.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The payload, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Is it text?
    #[inline]
    pub fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    /// Is it binary?
    pub fn is_binary(&self) -> bool {
        !self.is_text()
    }

    /// The payload's length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is the payload empty?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// From bytes of a receive buffer, which they leave by a copy. With `text`
    /// they must have been checked.
    #[inline]
    pub(crate) fn copied(text: bool, bytes: &[u8]) -> Self {
        Self::new(text, Bytes::copy_from_slice(bytes))
    }

    /// From bytes that are the message's own. With `text` they must have been checked.
    #[inline]
    pub(crate) fn new(text: bool, bytes: Bytes) -> Self {
        let kind = if text { Kind::Text } else { Kind::Binary };
        Self { kind, bytes }
    }

    /// The message in memory of its own, if it is shorter than `len`: it may share
    /// a receive buffer that is much larger.
    pub(crate) fn detached_below(self, len: usize) -> Self {
        if self.len() < len {
            return Self::copied(self.is_text(), &self.bytes);
        }
        self
    }

    /// The payload, to be shared without a copy.
    #[inline]
    pub(crate) fn shared(&self) -> &Bytes {
        &self.bytes
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::copied(true, text.as_bytes())
    }
}

impl From<&String> for Message {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::copied(false, bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Self::copied(false, bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::binary(bytes)
    }
}

impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

/// The text; of a binary message the bytes, those that are not printable ASCII as
/// Rust escapes them: `\x00`.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_text() {
            Some(text) => f.write_str(text),
            None => self.as_bytes().escape_ascii().fmt(f),
        }
    }
}

/// The kind and the length, with the start of the payload: never a whole megabyte.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, bytes) = (
            if self.is_text() { "text" } else { "binary" },
            self.as_bytes(),
        );
        let shown = &bytes[..bytes.len().min(SHOWN)];
        write!(
            f,
            "{kind}({} bytes, \"{}",
            bytes.len(),
            shown.escape_ascii()
        )?;
        f.write_str(if shown.len() < bytes.len() {
            "\"…)"
        } else {
            "\")"
        })
    }
}

/// How much of a payload `Debug` shows.
const SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_payloads_read_the_same() {
        for len in [0, 1, 61, 62, 5000] {
            let text = "x".repeat(len);
            let message = Message::text(text.clone());
            assert_eq!(message.as_text(), Some(&*text));
            assert_eq!(message.len(), len);
            assert_eq!(message, Message::from(&text));
            assert_ne!(message, Message::from(text.as_bytes()));
            assert_eq!(message.clone().into_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn one_is_shown_as_its_text_or_its_bytes() {
        assert_eq!(Message::from("a\nü").to_string(), "a\nü");
        assert_eq!(Message::from(b"a\0\xff").to_string(), "a\\x00\\xff");
    }
}
