//! SQL text into its statements, by the rule of SQLite's own shell: a statement ends at
//! a `;` that is in no text, name or comment, and one that makes a trigger at `; END ;`.
//! Does not parse: each part is prepared as one statement, which would show a mistake.

/// The statements, without the `;`, and none that is empty.
pub(super) fn statements(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut rest = sql;
    while !rest.is_empty() {
        let (statement, after) = first(rest);
        if word(statement).is_some() || tokens(statement).next().is_some() {
            statements.push(statement);
        }
        rest = after;
    }
    statements
}

/// The first word of a statement.
pub(super) fn word(statement: &str) -> Option<&str> {
    match tokens(statement).next()? {
        Token::Word(word) => Some(word),
        Token::Semicolon(_) | Token::Other => None,
    }
}

fn first(sql: &str) -> (&str, &str) {
    let is = |word: &str, wanted: &str| word.eq_ignore_ascii_case(wanted);
    let mut words = 0;
    let mut creates = false;
    let mut trigger = false;
    // In a trigger: `;` came, then `; END`.
    let (mut ended, mut end) = (false, false);
    for token in tokens(sql) {
        match token {
            Token::Semicolon(at) if !trigger || end => return (&sql[..at], &sql[at + 1..]),
            Token::Semicolon(_) => (ended, end) = (true, false),
            Token::Word(word) => {
                creates |= words < 4 && is(word, "CREATE");
                trigger |= words < 4 && creates && is(word, "TRIGGER");
                words += 1;
                end = ended && is(word, "END");
                ended = false;
            }
            Token::Other => {
                (ended, end) = (false, false);
                words += 1;
            }
        }
    }
    (sql, "")
}

enum Token<'a> {
    Word(&'a str),
    /// Where it is.
    Semicolon(usize),
    Other,
}

/// All but white space and comments.
fn tokens(sql: &str) -> impl Iterator<Item = Token<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &sql[at..];
            let next = rest.chars().next()?;
            let until = |end: &str, from: usize| {
                let found = rest[from..].find(end);
                found.map_or(rest.len(), |found| from + found + end.len())
            };
            let (length, token) = match next {
                ' ' | '\t' | '\n' | '\r' | '\x0c' => (1, None),
                '-' if rest.starts_with("--") => (until("\n", 2), None),
                '/' if rest.starts_with("/*") => (until("*/", 2), None),
                ';' => (1, Some(Token::Semicolon(at))),
                // A doubled quote is two texts side by side: the same end.
                '\'' => (until("'", 1), Some(Token::Other)),
                '"' => (until("\"", 1), Some(Token::Other)),
                '`' => (until("`", 1), Some(Token::Other)),
                '[' => (until("]", 1), Some(Token::Other)),
                _ if is_in_word(next) => {
                    let end = rest.find(|next| !is_in_word(next)).unwrap_or(rest.len());
                    (end, Some(Token::Word(&rest[..end])))
                }
                other => (other.len_utf8(), Some(Token::Other)),
            };
            at += length;
            if token.is_some() {
                return token;
            }
        }
    })
}

fn is_in_word(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_' || next == '$' || !next.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_sqlite_ends_them() {
        for (sql, wanted) in [
            ("", &[][..]),
            (" ; -- nothing\n; /* ; */ ;", &[]),
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1; SELECT 2;", &["SELECT 1", " SELECT 2"]),
            (
                "SELECT ';', \";\", [;], `;`; x",
                &["SELECT ';', \";\", [;], `;`", " x"],
            ),
            ("SELECT 'it''s;'; x", &["SELECT 'it''s;'", " x"]),
            ("a -- ;\n; b", &["a -- ;\n", " b"]),
            ("a /* ; */; b", &["a /* ; */", " b"]),
            ("SELECT 'é;'; b", &["SELECT 'é;'", " b"]),
            ("'open ; x", &["'open ; x"]),
            ("/* open ; x", &[]),
            (
                "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT CASE 1 WHEN 1 \
                 THEN 2 END; END; b",
                &[
                    "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT CASE 1 WHEN 1 \
                     THEN 2 END; END",
                    " b",
                ],
            ),
            (
                "CREATE TABLE trigger_ (a); b",
                &["CREATE TABLE trigger_ (a)", " b"],
            ),
        ] {
            assert_eq!(statements(sql), wanted, "{sql}");
        }
        assert_eq!(word(" /* x */ Vacuum into"), Some("Vacuum"));
        assert_eq!(word("'x'"), None);
    }
}
