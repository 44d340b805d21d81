//! The servers that the suite compares.
//! Starts none of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::build::{Built, workspace};
use crate::rows::Kind;
use crate::server::Recipe;

/// A server, and what it does.
#[derive(Debug)]
pub struct Contender {
    /// What it does. One name may stand for several servers, each of another kind.
    pub kind: Kind,
    /// How it is started.
    pub recipe: Recipe,
    /// Its version, or that of the library that it shows.
    pub version: String,
}

/// Ours: its name in tables and charts.
pub const OURS: &str = "wsworker";

/// Name, kind and program of the peers in Rust. The name is the library's.
const PEERS: [(&str, Kind, &str); 7] = [
    ("fastwebsockets", Kind::Echo, "peer-fastwebsockets"),
    ("tokio-websockets", Kind::Echo, "peer-tokio-websockets"),
    ("tokio-tungstenite", Kind::Echo, "peer-tokio-tungstenite"),
    ("yawc", Kind::Echo, "peer-yawc"),
    ("axum", Kind::Echo, "peer-axum"),
    ("actix-ws", Kind::Echo, "peer-actix-ws"),
    ("axum", Kind::Room, "peer-axum-room"),
];

/// All that are there, ours first. `npm` holds the directory `node_modules`; what is missing there is
/// said loudly and left out.
pub fn all(built: &Built, npm: &Path) -> Result<Vec<Contender>> {
    let lock = fs::read_to_string(workspace().join("Cargo.lock"))?;
    let in_rust = |kind, recipe: Recipe| {
        let version = version(&lock, recipe.name);
        let version = version.with_context(|| format!("no {} in Cargo.lock", recipe.name))?;
        Ok(Contender {
            kind,
            recipe,
            version: version.to_owned(),
        })
    };
    let ours = |program| Recipe::wsworker(OURS, built.path(program)?);
    let mut all: Vec<Result<Contender>> = vec![
        in_rust(Kind::Echo, ours("echo")?),
        in_rust(Kind::Room, ours("bench-room")?),
        in_rust(Kind::Tls, ours("echo-tls")?.over_tls()),
        in_rust(
            Kind::Proxy,
            Recipe::proxy(OURS, built.path("proxy")?, ours("echo")?)?,
        ),
    ];
    for (name, kind, program) in PEERS {
        all.push(in_rust(kind, Recipe::peer(name, built.path(program)?)?));
    }
    for (kind, recipe) in from_npm(npm) {
        if let Some(version) = there(&recipe, kind) {
            all.push(Ok(Contender {
                kind,
                recipe,
                version,
            }));
        }
    }
    all.into_iter().collect()
}

fn from_npm(npm: &Path) -> [(Kind, Recipe); 10] {
    let modules = npm.join("node_modules");
    let program = |name| modules.join(".bin").join(name);
    let [bun, deno, workerd] = ["bun", "deno", "workerd"].map(program);
    let bun_echo = Recipe::bun(&bun, "bun-echo.js");
    let deno_echo = Recipe::deno(&deno, "deno-echo.js");
    let ws_echo = Recipe::node_ws(&modules, "ws-echo.cjs");
    [
        (Kind::Echo, bun_echo.clone()),
        (Kind::Echo, deno_echo.clone()),
        (Kind::Echo, Recipe::workerd(&workerd, "workerd-echo.capnp")),
        (Kind::Echo, ws_echo.clone()),
        (Kind::Room, Recipe::bun(&bun, "bun-room.js")),
        (Kind::Room, Recipe::workerd(&workerd, "workerd-room.capnp")),
        (Kind::Room, Recipe::node_ws(&modules, "ws-room.cjs")),
        (Kind::Tls, bun_echo.over_tls()),
        (Kind::Tls, deno_echo.over_tls()),
        (Kind::Tls, ws_echo.over_tls()),
    ]
}

/// Said once, of the echo.
fn there(recipe: &Recipe, kind: Kind) -> Option<String> {
    match kind {
        Kind::Echo => recipe.is_there().then(|| recipe.version())?,
        _ => recipe.version(),
    }
}

/// The newest version of a package that the lock file names.
fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines();
    let mut found = None;
    // Versions of a package follow each other, the newest last.
    while lines.any(|line| line == name) {
        let line = lines.next()?;
        found = line.strip_prefix("version = \"")?.strip_suffix('"');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_a_package_is_found() {
        let lock = "name = \"a\"\nversion = \"0.1.0\"\n\nname = \"ab\"\nversion = \"3.0.0\"\n\n\
                    name = \"a\"\nversion = \"0.2.0\"\n";
        assert_eq!(version(lock, "a"), Some("0.2.0"));
        assert_eq!(version(lock, "ab"), Some("3.0.0"));
        assert_eq!(version(lock, "b"), None);
    }
}
