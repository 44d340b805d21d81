//! Times: `"500ms"`, `"10s"`, `"1m 30s"`.
//! Holds no defaults: an option that was not written stays unset.

use std::time::Duration;

use humantime::DurationError as Error;
use syn::{Lit, Result};

use crate::option::Written;

/// The number of milliseconds that `option` is set to.
pub(crate) fn parse(option: &Written, usage: &str) -> Result<u64> {
    let millis = match option.literal(usage)? {
        Lit::Str(text) => from_text(&text.value()),
        Lit::Int(int) if int.base10_digits().starts_with('-') => Err(ZERO.to_owned()),
        Lit::Int(int) if int.suffix().is_empty() => Err(no_unit(int.base10_digits())),
        Lit::Int(int) => Err(format!("a time is a string: write `\"{int}\"`")),
        _ => Err("this is not a time: write a number and a unit, such as `\"10s\"`".to_owned()),
    };
    millis.map_err(|message| option.wrong(&message))
}

fn from_text(text: &str) -> std::result::Result<u64, String> {
    if text.trim_start().starts_with('-') {
        return Err(ZERO.to_owned());
    }
    let time = humantime::parse_duration(text).map_err(|error| match error {
        Error::UnknownUnit { unit, value, .. } if unit.is_empty() => no_unit(&value.to_string()),
        Error::UnknownUnit { unit, .. } => {
            format!("`{unit}` is not a unit of time: use `ms`, `s`, `m` or `h`, as in `\"10s\"`")
        }
        Error::NumberOverflow => TOO_LONG.to_owned(),
        _ => format!("`{text}` is not a time: write a number and a unit, such as `\"10s\"`"),
    })?;
    if time == Duration::ZERO {
        return Err(ZERO.to_owned());
    }
    if time.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!(
            "`{text}` is too fine: write whole milliseconds, such as `\"500ms\"`"
        ));
    }
    u64::try_from(time.as_millis()).map_err(|_| TOO_LONG.to_owned())
}

fn no_unit(number: &str) -> String {
    format!("a time needs a unit: write `\"{number}s\"` for seconds")
}

const ZERO: &str = "a time is more than zero: write one such as `\"10s\"`";
const TOO_LONG: &str = "this time is too long: write a shorter one, such as `\"30days\"`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_added() {
        assert_eq!(from_text("500ms"), Ok(500));
        assert_eq!(from_text("10s"), Ok(10_000));
        assert_eq!(from_text("2m"), Ok(120_000));
        assert_eq!(from_text("1m 30s"), Ok(90_000));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "10",
            "2 potatoes",
            "-1s",
            "0s",
            "0",
            "1us",
            "1500us",
            "600000000000y",
        ] {
            assert!(from_text(text).is_err(), "{text:?}");
        }
    }
}
