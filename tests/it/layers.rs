//! The layers of the crate: each module uses only those below it.
//! Does not parse Rust: it reads paths out of the source's text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each may use only what stands before it.
const LAYERS: &[&str] = &[
    "log",
    "alone",
    "error",
    "protocol",
    "env",
    "wire",
    "connection",
    "socket",
    "http",
    "guard",
    "storage",
    "object",
    "client",
    "worker",
    "spawn",
    "server",
    "__private",
    "testing",
];

/// What only these layers, or parts of one, may use of other crates.
const CRATES: &[(&str, &[&str])] = &[
    ("fastwebsockets", &["wire"]),
    ("hyper", &["client", "server"]),
    ("hyper_util", &["client", "server"]),
    ("rcgen", &["server"]),
    ("ring", &["client", "server"]),
    ("rusqlite", &["storage/sqlite"]),
    ("rustls_native_certs", &["client"]),
    ("tokio_rustls", &["client", "connection", "server"]),
];

/// Files that stand outside the layers: they name what is public.
const ROOTS: &[&str] = &["lib", "docs", "prelude", "fuzzing"];

#[test]
fn each_module_uses_only_the_layers_below_it() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(layer) = LAYERS.iter().position(|l| *l == source.module) else {
            continue;
        };
        for used in source.used_modules() {
            match LAYERS.iter().position(|l| *l == used) {
                Some(at) if at <= layer => {}
                Some(_) => wrong.push(format!("{} uses {used}", source.name)),
                // What the root exports again stands in some layer too.
                None => wrong.push(format!("{} uses crate::{used}", source.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_module_has_its_layer() {
    let modules: BTreeSet<String> = sources().into_iter().map(|s| s.module).collect();
    let known = |m: &&String| LAYERS.contains(&m.as_str()) || ROOTS.contains(&m.as_str());
    let unknown: Vec<_> = modules.iter().filter(|m| !known(m)).collect();
    assert!(unknown.is_empty(), "no layer for {unknown:?}");
    let gone = |l: &&&str| !modules.contains(**l);
    let gone: Vec<_> = LAYERS.iter().filter(gone).collect();
    assert!(gone.is_empty(), "no module for {gone:?}");
}

#[test]
fn other_crates_are_used_where_they_belong() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, homes) in CRATES {
            if !homes.iter().any(|home| source.is_in(home)) && source.mentions_crate(name) {
                wrong.push(format!("{} uses {name}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Where nobody collects logs, standard error has them: only what these two write.
#[test]
fn warnings_and_errors_go_through_what_writes_them_without_a_collector_too() {
    let wrong: Vec<_> = sources()
        .into_iter()
        .filter(|source| !["log", "guard"].contains(&source.module.as_str()))
        .filter(|source| {
            ["warn!", "error!"]
                .iter()
                .any(|name| source.code.contains(&format!("tracing::{name}")))
        })
        .map(|source| source.name)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_paths_sees_them() {
    let source = Source {
        name: "wire/x.rs".into(),
        module: "wire".into(),
        code: code_of(
            "//! crate::socket\nuse crate::error::Error;\nuse crate::{http, env::Env as E};\n\
             fn f() { crate::server::x(\"crate::worker\") } // crate::worker\n\
             #[cfg(test)]\nmod tests { use crate::connection::X; }\n\
             #[cfg(test)]\nuse crate::socket::Y;\nuse hyper_util::rt;",
        ),
    };
    let used: Vec<_> = source.used_modules().into_iter().collect();
    assert_eq!(used, ["env", "error", "http", "server"]);
    assert!(source.mentions_crate("hyper_util"));
    assert!(!source.mentions_crate("hyper"));
    assert!(source.is_in("wire") && source.is_in("wire/x"));
    assert!(!source.is_in("wi") && !source.is_in("wire/y"));
}

struct Source {
    name: String,
    module: String,
    code: String,
}

impl Source {
    /// Is it this module, or a part of it?
    fn is_in(&self, module: &str) -> bool {
        Path::new(&self.name).with_extension("").starts_with(module)
    }

    /// The first names of all paths that begin at the crate's root.
    fn used_modules(&self) -> BTreeSet<String> {
        let mut used = self.first_names_after("crate::");
        let depth = Path::new(&self.name).components().count();
        if depth == 1 || self.name.ends_with("/mod.rs") && depth == 2 {
            used.extend(self.first_names_after("super::"));
        }
        used
    }

    fn first_names_after(&self, start: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for (at, _) in self.code.match_indices(start) {
            // `$crate::` too; not `some_crate::`.
            if self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = self.code[at + start.len()..].trim_start();
            match rest.strip_prefix('{') {
                Some(group) => names.extend(group_members(group)),
                None => names.extend([first_name(rest)]),
            }
        }
        names
    }

    fn mentions_crate(&self, name: &str) -> bool {
        self.code.match_indices(name).any(|(at, _)| {
            let before = self.code[..at].chars().next_back();
            let path_or_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let after = self.code[at + name.len()..].trim_start();
            !before.is_some_and(path_or_word) && after.starts_with("::")
        })
    }
}

/// The first names in `a::b, c::{d, e}}`.
fn group_members(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut members) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => members.push(std::mem::take(&mut member)),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => member.push(c),
        }
    }
    members.push(member);
    let names = members.iter().map(|m| first_name(m.trim()));
    names.filter(|name| !name.is_empty()).collect()
}

fn first_name(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wsworker/src");
    let mut files = Vec::new();
    find(&root, &mut files);
    assert!(!files.is_empty(), "no source in {}", root.display());
    let source = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap();
        let module = name.with_extension("");
        let module = module.components().next().unwrap();
        Source {
            name: name.display().to_string(),
            module: module.as_os_str().to_str().unwrap().to_owned(),
            code: code_of(&fs::read_to_string(&path).unwrap()),
        }
    };
    // A file named `tests` is the body of a `#[cfg(test)] mod tests;`.
    let files = files.into_iter().filter(|p| !p.ends_with("tests.rs"));
    files.map(source).collect()
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Without comments, strings and what is only for tests.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut quoted = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '/' if !quoted && chars.peek() == Some(&'/') => break,
                '\\' if quoted => drop(chars.next()),
                '\'' if !quoted && chars.peek() == Some(&'"') => drop(chars.next()),
                '"' => quoted = !quoted,
                _ if !quoted => code.push(c),
                _ => {}
            }
        }
        code.push('\n');
    }
    while let Some(at) = code.find("#[cfg(test)]") {
        let end = at + item_length(&code[at..]);
        code.replace_range(at..end, "");
    }
    code
}

/// Up to the first `;` outside braces, or the brace that closes the first one.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (c == ';' || c == '}') {
            return at + 1;
        }
    }
    code.len()
}
