//! A message: text that is UTF-8, or bytes.
//! Does not know frames or compression.

use std::fmt;

use bytes::Bytes;

/// A message: text, known to be UTF-8, or binary.
///
/// Cheap to clone: up to 61 bytes are held inline, more are shared. Keeping
/// one that came from a peer never pins more than 16 times its size.
///
/// ```
/// use wsworker::Message;
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// assert_eq!(Message::binary(vec![1, 2]).as_text(), None);
/// ```
#[derive(Clone)]
pub struct Message(Repr);

#[derive(Clone)]
enum Repr {
    Inline {
        text: bool,
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared {
        text: bool,
        bytes: Bytes,
    },
}

/// What fits in 64 bytes beside the tag, the kind and the length.
const INLINE: usize = 61;

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
        // Checked when it was made; asked again because a check with SIMD costs
        // less than an `unsafe` block in this crate would.
        let text = self
            .is_text()
            .then(|| simdutf8::basic::from_utf8(self.as_bytes()));
        text.map(|text| text.expect("a text message is UTF-8"))
    }

    /// The payload, of either kind.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes, .. } => &bytes[..usize::from(*len)],
            Repr::Shared { bytes, .. } => bytes,
        }
    }

    /// The payload, without a copy when it is over 61 bytes.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { len, bytes, .. } => Bytes::copy_from_slice(&bytes[..usize::from(len)]),
            Repr::Shared { bytes, .. } => bytes,
        }
    }

    /// Is it text?
    #[inline]
    pub fn is_text(&self) -> bool {
        match self.0 {
            Repr::Inline { text, .. } | Repr::Shared { text, .. } => text,
        }
    }

    /// Is it binary?
    pub fn is_binary(&self) -> bool {
        !self.is_text()
    }

    /// The payload's length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Is the payload empty?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From bytes of a receive buffer, which they leave by a copy. With `text`
    /// they must have been checked.
    #[inline]
    pub(crate) fn copied(text: bool, bytes: &[u8]) -> Self {
        if bytes.len() > INLINE {
            let bytes = Bytes::copy_from_slice(bytes);
            return Self(Repr::Shared { text, bytes });
        }
        let (len, mut inline) = (bytes.len() as u8, [0; INLINE]);
        inline[..bytes.len()].copy_from_slice(bytes);
        Self(Repr::Inline {
            text,
            len,
            bytes: inline,
        })
    }

    /// From bytes that are the message's own. With `text` they must have been checked.
    pub(crate) fn new(text: bool, bytes: Bytes) -> Self {
        if bytes.len() <= INLINE {
            return Self::copied(text, &bytes);
        }
        Self(Repr::Shared { text, bytes })
    }

    /// The message in memory of its own, if it is shorter than `len`: it may share
    /// a receive buffer that is much larger.
    pub(crate) fn detached_below(self, len: usize) -> Self {
        match &self.0 {
            Repr::Shared { text, bytes } if bytes.len() < len => Self::copied(*text, bytes),
            _ => self,
        }
    }

    /// The payload where it can be shared without a copy.
    pub(crate) fn shared(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Shared { bytes, .. } => Some(bytes),
            Repr::Inline { .. } => None,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::copied(true, text.as_bytes())
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

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.is_text() == other.is_text() && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Message {}

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
    fn a_message_is_one_cache_line() {
        assert_eq!(size_of::<Message>(), 64);
    }

    #[test]
    fn short_and_long_payloads_read_the_same() {
        for len in [0, 1, INLINE, INLINE + 1, 5000] {
            let text = "x".repeat(len);
            let message = Message::text(text.clone());
            assert_eq!(message.as_text(), Some(&*text));
            assert_eq!(message.len(), len);
            assert_eq!(message, Message::from(&*text));
            assert_eq!(message.clone().into_bytes(), text.as_bytes());
        }
    }
}
