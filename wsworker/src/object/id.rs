//! Names of objects: 256 bits, stable over versions and machines.
//! Does not know what an object is.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Which object of its class: 256 bits, written as 64 hexadecimal digits.
///
/// That of a name is SHA-256 over `wsworker.object.v1`, a zero byte, the class's
/// stable name, a zero byte, and the name: the same on every machine and in every
/// version. A class's type is part of the id's, so that one of another class does
/// not compile.
pub struct ObjectId<T = ()> {
    bytes: [u8; 32],
    class: PhantomData<fn() -> T>,
}

impl<T> ObjectId<T> {
    pub(super) fn of_name(class: &str, name: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["wsworker.object.v1", class] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(name);
        Self::from_bytes(hash.finalize().into())
    }

    pub(super) fn unique() -> Result<Self> {
        let mut bytes = [0; 32];
        let filled = getrandom::fill(&mut bytes);
        filled.map_err(|e| Error::io("the system gives no random bytes", e.into()))?;
        Ok(Self::from_bytes(bytes))
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        let class = PhantomData;
        Self { bytes, class }
    }

    /// The 256 bits.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// From 64 hexadecimal digits, of either case. What is none is
/// [`is_invalid`](Error::is_invalid), and stands for 400.
impl<T> FromStr for ObjectId<T> {
    type Err = Error;

    fn from_str(digits: &str) -> Result<Self> {
        let wrong = |seen: String| {
            let wanted = "an object's id is 64 hexadecimal digits";
            Err(Error::unreadable(format!("{wanted}, got {seen}")))
        };
        if let Some(bad) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return wrong(format!("the character '{}'", bad.escape_default()));
        }
        if digits.len() != 64 {
            return wrong(format!("{} characters", digits.len()));
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).expect("they are digits");
        }
        Ok(Self::from_bytes(bytes))
    }
}

impl<T> fmt::Display for ObjectId<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<T> fmt::Debug for ObjectId<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

// By hand, as derived ones would ask the class for the same.
impl<T> Clone for ObjectId<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ObjectId<T> {}

impl<T> PartialEq for ObjectId<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for ObjectId<T> {}

impl<T> Hash for ObjectId<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Id = ObjectId<()>;

    #[test]
    fn an_id_of_a_name_is_the_same_for_ever() {
        // What `sha256sum` says.
        let id = Id::of_name("Room", "lobby").to_string();
        assert_eq!(
            id,
            "ad9f0c5b486741f7b736e75d5d6c13a1b8926136f82fc8e1f5dec8f7c81a235d"
        );
        assert_ne!(id, Id::of_name("Roo", "mlobby").to_string());
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let id = Id::unique().unwrap();
        assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
        assert_eq!(id.to_string().to_uppercase().parse::<Id>().unwrap(), id);
    }

    #[test]
    fn what_is_no_id_is_refused_with_a_reason() {
        let refused = |text: &str| {
            let error = text.parse::<Id>().unwrap_err();
            assert!(error.is_invalid());
            assert_eq!(error.status(), Some(http::StatusCode::BAD_REQUEST));
            error.to_string()
        };
        assert_eq!(
            refused(&"0".repeat(63)),
            "an object's id is 64 hexadecimal digits, got 63 characters"
        );
        let mut odd = "0".repeat(62);
        odd.push('é');
        assert!(
            refused(&odd).ends_with("got the character '\\u{e9}'"),
            "{}",
            refused(&odd)
        );
    }
}
