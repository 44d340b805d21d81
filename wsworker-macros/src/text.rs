//! Small questions about text: is it a token, a class's name, which known word is it like; and
//! how code looks in a message.
//! Knows nothing of options.

use quote::ToTokens;

/// RFC 6455 §4.1: a subprotocol's name is a token, as in RFC 9110 §5.6.2.
pub(crate) fn check_token(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(
            "a protocol's name cannot be empty: write one such as `\"chat.v1\"`".to_owned(),
        );
    }
    let wrong = text
        .chars()
        .find(|&c| !c.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(c));
    match wrong {
        None => Ok(()),
        Some(',') => Err(
            "a protocol's name cannot hold `,`: write each name as a string of its own, \
                          such as `protocols(\"chat.v1\", \"chat.v2\")`"
                .to_owned(),
        ),
        Some(wrong) => Err(format!(
            "a protocol's name cannot hold {wrong:?}: use letters, digits and `.-_+`, such as \
             `\"chat.v1\"`"
        )),
    }
}

/// What is stored goes by a class's name, so it is short and the same everywhere.
pub(crate) fn check_class_name(text: &str) -> Result<(), String> {
    const MAX: usize = 64;
    let wrong = |c: &char| !c.is_ascii_alphanumeric() && !"_-.".contains(*c);
    if text.is_empty() {
        Err("a class's name cannot be empty: write one such as `\"room\"`".to_owned())
    } else if let Some(wrong) = text.chars().find(wrong) {
        Err(format!(
            "a class's name cannot hold {wrong:?}: use letters, digits, `_`, `-` and `.`, such as \
             `\"room\"`"
        ))
    } else if text.len() > MAX {
        let seen = text.len();
        Err(format!(
            "a class's name has at most {MAX} characters, this one has {seen}: write one such as \
             `\"room\"`"
        ))
    } else {
        Ok(())
    }
}

/// The one of `known` that `word` was probably meant to be.
pub(crate) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    known
        .filter_map(|candidate| {
            // `max_message_size`, `idle`: one begins with the other.
            let distance = if word.len() >= 4
                && (word.starts_with(candidate) || candidate.starts_with(&word))
            {
                1
            } else {
                distance(&word, candidate)
            };
            (distance <= 1 + candidate.len() / 5).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Types as one writes them: without spaces where there are none, usually.
pub(crate) fn of_code(code: impl ToTokens) -> String {
    const TIGHT: [(&str, &str); 8] = [
        (" :: ", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        (" ;", ";"),
    ];
    let text = code.to_token_stream().to_string();
    let tightened = |text: String, (loose, tight): (&str, &str)| text.replace(loose, tight);
    TIGHT.into_iter().fold(text, tightened)
}

/// How many letters to insert, remove or replace (Levenshtein), over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_rfc_9110() {
        for token in ["chat", "chat.v1", "graphql-ws", "a!#$%&'*+-.^_`|~9"] {
            assert_eq!(check_token(token), Ok(()), "{token:?}");
        }
        for text in [
            "", "chat v1", "a,b", "a/b", "\"a\"", "é", "a\n", "a:b", "a@b",
        ] {
            assert!(check_token(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_class_name_is_short_and_plain() {
        let longest = "a".repeat(64);
        for name in ["Room", "room", "chat.room-v2_1", "7", &longest] {
            assert_eq!(check_class_name(name), Ok(()), "{name:?}");
        }
        let too_long = "a".repeat(65);
        for name in ["", "chat room", "a/b", "Größe", "a:b", "a\0", &too_long] {
            assert!(check_class_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn code_looks_as_it_is_written() {
        for code in [
            "Vec<Option<u8>>",
            "a::Room",
            "::a::Room<'static, [u8; 2]>",
            "(u8, &'a mut B)",
        ] {
            let tokens: proc_macro2::TokenStream = code.parse().unwrap();
            assert_eq!(of_code(tokens), code);
        }
    }

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        const KNOWN: [&str; 5] = [
            "max_message",
            "idle_timeout",
            "protocols",
            "origins",
            "slow",
        ];
        let closest = |word| closest(word, KNOWN.into_iter());
        assert_eq!(closest("max_mesage"), Some("max_message"));
        assert_eq!(closest("maxMessage"), Some("max_message"));
        assert_eq!(closest("max_message_size"), Some("max_message"));
        assert_eq!(closest("idle"), Some("idle_timeout"));
        assert_eq!(closest("protocol"), Some("protocols"));
        assert_eq!(closest("origin"), Some("origins"));
        assert_eq!(closest("compress"), None);
        assert_eq!(closest("path"), None);
    }
}
