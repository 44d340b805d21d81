//! Values written as texts: numbers, sizes, times, lists; and what is wrong with one.
//! Does not know which setting it is for; `environment` does.

use std::borrow::Cow;
use std::num::IntErrorKind;
use std::time::Duration;

use bytesize::ByteSize;
use humantime::DurationError;

/// What is wrong with a text: "is negative".
pub(super) struct Wrong {
    /// The item of a list that it is about.
    item: Option<String>,
    what: Cow<'static, str>,
}

impl Wrong {
    /// The whole complaint about the text `value` of `name`.
    pub(super) fn explain(&self, name: &str, value: &str, wanted: &str) -> String {
        let what = &self.what;
        match &self.item {
            Some(item) if item != value => {
                format!("{name}='{value}': '{item}' {what}: wanted {wanted}")
            }
            _ => format!("{name}='{value}' {what}: wanted {wanted}"),
        }
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for Wrong {
    fn from(what: T) -> Self {
        let what = what.into();
        Self { item: None, what }
    }
}

/// A number above 0.
pub(super) fn number(text: &str) -> Result<usize, Wrong> {
    match text.parse() {
        Ok(0) => Err(ZERO.into()),
        Ok(number) => Ok(number),
        Err(e) if *e.kind() == IntErrorKind::PosOverflow => Err(TOO_LARGE.into()),
        Err(_) => Err(no(text, "is no whole number")),
    }
}

/// A size above 0, in bytes.
pub(super) fn size(text: &str) -> Result<usize, Wrong> {
    let size: Result<ByteSize, _> = text.parse();
    match size.map(|size| (size.as_u64(), usize::try_from(size.as_u64()))) {
        Ok((0, _)) => Err(ZERO.into()),
        // One that is larger comes to this too.
        Ok((u64::MAX, _) | (_, Err(_))) => Err(TOO_LARGE.into()),
        Ok((_, Ok(size))) => Ok(size),
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Err(TOO_LARGE.into())
        }
        Err(_) => Err(no(text, "is no size")),
    }
}

/// A time above 0.
pub(super) fn time(text: &str) -> Result<Duration, Wrong> {
    let time = time_or_zero(text)?;
    if time.is_zero() {
        return Err(ZERO.into());
    }
    Ok(time)
}

pub(super) fn time_or_zero(text: &str) -> Result<Duration, Wrong> {
    humantime::parse_duration(text).map_err(|e| match e {
        DurationError::UnknownUnit { unit, .. } if unit.is_empty() => "has no unit".into(),
        DurationError::UnknownUnit { unit, .. } => format!("has the unknown unit '{unit}'").into(),
        DurationError::NumberOverflow => "is too large or too exact".into(),
        _ => no(text, "is no time"),
    })
}

/// The items of a list with commas.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|t| !t.is_empty())
}

/// All of a list, if each is one.
pub(super) fn all<T>(text: &str, one: impl Fn(&str) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    let item = |text: &str| {
        one(text).map_err(|wrong| Wrong {
            item: Some(text.to_owned()),
            ..wrong
        })
    };
    list(text).map(item).collect()
}

fn no(text: &str, what: &'static str) -> Wrong {
    let digits = text.strip_prefix('-').map(str::trim_start);
    match digits {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_digit()) => "is negative".into(),
        _ => what.into(),
    }
}

const ZERO: &str = "is zero";
pub(super) const TOO_LARGE: &str = "is too large";

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<T>(result: Result<T, Wrong>) -> Cow<'static, str> {
        match result {
            Ok(_) => panic!("it is taken"),
            Err(wrong) => wrong.what,
        }
    }

    #[test]
    fn a_wrong_text_is_told_what_is_wrong() {
        for (text, what) in [
            ("0", ZERO),
            ("-1", "is negative"),
            ("1.5", "is no whole number"),
            ("many", "is no whole number"),
            ("99999999999999999999", TOO_LARGE),
        ] {
            assert_eq!(wrong(number(text)), what, "{text}");
        }
        for (text, what) in [
            ("0", ZERO),
            ("0 MiB", ZERO),
            ("0.3B", ZERO),
            ("-1MiB", "is negative"),
            ("- 1", "is negative"),
            ("big", "is no size"),
            ("", "is no size"),
            ("1 parsec", "is no size"),
            ("1.5", "is no size"),
            ("99999999999999999999", TOO_LARGE),
            ("100000000 EiB", TOO_LARGE),
        ] {
            assert_eq!(wrong(size(text)), what, "{text}");
        }
        for (text, what) in [
            ("0s", ZERO),
            ("0", ZERO),
            ("-5s", "is negative"),
            ("10", "has no unit"),
            ("10 parsecs", "has the unknown unit 'parsecs'"),
            ("soon", "is no time"),
            ("99999999999999999999s", "is too large or too exact"),
        ] {
            assert_eq!(wrong(time(text)), what, "{text}");
        }
        assert_eq!(wrong(time_or_zero("-5s")), "is negative");
    }

    #[test]
    fn a_right_text_is_taken() {
        assert_eq!(number("7").ok(), Some(7));
        assert_eq!(size("1.5 KiB").ok(), Some(1536));
        assert_eq!(size("8EiB").ok(), Some(8 << 60));
        assert_eq!(time("1m 30s").ok(), Some(Duration::from_secs(90)));
        assert_eq!(time_or_zero("0s").ok(), Some(Duration::ZERO));
    }

    #[test]
    fn the_wrong_item_of_a_list_is_shown() {
        let items = |text| all(text, number).map_err(|e| e.explain("N", text, "numbers"));
        assert_eq!(items("1, 2").ok(), Some(vec![1, 2]));
        assert_eq!(
            items("x").unwrap_err(),
            "N='x' is no whole number: wanted numbers"
        );
        assert_eq!(
            items("1,0").unwrap_err(),
            "N='1,0': '0' is zero: wanted numbers"
        );
    }
}
