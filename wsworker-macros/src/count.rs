//! Counts: whole numbers, such as `1000` or `32_768`.
//! Holds no defaults: an option that was not written stays unset.

use syn::{Lit, Result};

use crate::option::Written;

/// The number that `option` is set to, from 1 to `max`.
pub(crate) fn parse(option: &Written, usage: &str, max: u64) -> Result<u64> {
    let count = match option.literal(usage)? {
        Lit::Int(int) if matches!(int.suffix(), "" | "usize" | "u64" | "u32") => {
            in_range(int.base10_digits(), max)
        }
        _ => None,
    };
    count.ok_or_else(|| {
        option.wrong(&format!(
            "expected a number from 1 to {max}: write `{usage}`"
        ))
    })
}

fn in_range(digits: &str, max: u64) -> Option<u64> {
    let count = digits.parse().ok()?;
    (1..=max).contains(&count).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_one_to_the_most() {
        assert_eq!(in_range("1", 10), Some(1));
        assert_eq!(in_range("10", 10), Some(10));
        for wrong in ["0", "11", "-1", "99999999999999999999"] {
            assert_eq!(in_range(wrong, 10), None, "{wrong}");
        }
    }
}
