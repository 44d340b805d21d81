//! Sizes: `"1 MiB"`, `"32MiB"`, or a number of bytes.
//! Holds no defaults: an option that was not written stays unset.

use bytesize::ByteSize;
use syn::{Lit, Result};

use crate::option::Written;

/// The most that `max_message` may be: 4 GiB.
pub(crate) const MAX_MESSAGE: u64 = 4 << 30;

/// The most that `max_buffered` may be: what an allocation may be on the widest target.
pub(crate) const MAX_BUFFERED: u64 = i64::MAX as u64;

/// The number of bytes that `option` is set to.
pub(crate) fn parse(option: &Written, usage: &str, max: u64) -> Result<u64> {
    let bytes = match option.literal(usage)? {
        Lit::Str(text) => from_text(&text.value()),
        Lit::Int(int) => from_integer(int.base10_digits(), int.suffix()),
        _ => Err(NOT_A_SIZE.to_owned()),
    };
    bytes
        .and_then(|bytes| in_range(bytes, max))
        .map_err(|message| option.wrong(&message))
}

fn from_text(text: &str) -> std::result::Result<u64, String> {
    if text.trim_start().starts_with('-') {
        return Err(ZERO.to_owned());
    }
    match text.parse::<ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => Err(format!(
            "`{text}` is not a size: write a number and a unit, such as `\"1 MiB\"`"
        )),
    }
}

fn from_integer(digits: &str, suffix: &str) -> std::result::Result<u64, String> {
    if digits.starts_with('-') {
        return Err(ZERO.to_owned());
    }
    if !matches!(suffix, "" | "usize" | "u64" | "u32") {
        return Err(format!(
            "a size with a unit is a string: write `\"{digits}{suffix}\"`"
        ));
    }
    digits.parse().map_err(|_| TOO_LARGE.to_owned())
}

fn in_range(bytes: u64, max: u64) -> std::result::Result<u64, String> {
    match bytes {
        0 => Err(ZERO.to_owned()),
        _ if bytes <= max => Ok(bytes),
        _ if max == MAX_MESSAGE => {
            Err("a message is at most 4 GiB: write a smaller size".to_owned())
        }
        _ if max == MAX_BUFFERED => Err(TOO_LARGE.to_owned()),
        _ => Err(format!(
            "this is at most {}: write a smaller size",
            ByteSize(max).display().iec()
        )),
    }
}

const NOT_A_SIZE: &str = "this is not a size: write a number and a unit, such as `\"1 MiB\"`, or a \
                          number of bytes";
const ZERO: &str = "a size is more than zero: write one such as `\"1 MiB\"`";
const TOO_LARGE: &str = "this is more than memory can hold: write a smaller size";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_with_and_without_a_space() {
        assert_eq!(from_text("1 MiB"), Ok(1 << 20));
        assert_eq!(from_text("32MiB"), Ok(32 << 20));
        assert_eq!(from_text("1 MB"), Ok(1_000_000));
        assert_eq!(from_text("1.5 KiB"), Ok(1536));
        assert_eq!(from_text("512"), Ok(512));
        assert_eq!(from_integer("65536", ""), Ok(65536));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "MiB",
            "1 potato",
            "1,000",
            "-1 MiB",
            "1 MiB 2 KiB",
            "1e6 B",
        ] {
            assert!(from_text(text).is_err(), "{text:?}");
        }
        assert!(from_integer("32", "MiB").is_err());
        assert!(from_integer("-1", "").is_err());
        assert!(from_integer("99999999999999999999", "").is_err());
    }

    #[test]
    fn the_range_is_one_byte_to_the_most() {
        assert!(in_range(0, MAX_MESSAGE).is_err());
        assert_eq!(in_range(1, MAX_MESSAGE), Ok(1));
        assert_eq!(in_range(MAX_MESSAGE, MAX_MESSAGE), Ok(MAX_MESSAGE));
        assert!(in_range(MAX_MESSAGE + 1, MAX_MESSAGE).is_err());
        // A number that overflows is read as the largest there is.
        assert!(in_range(from_text("99999999 PiB").unwrap(), MAX_BUFFERED).is_err());
    }
}
