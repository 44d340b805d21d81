//! Builds the servers that are written in Rust, as cargo finds them necessary.
//! Does not build what is from npm.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What cargo is asked for, one after the other: what is built together shares its dependencies'
/// features, and ours shall not have the peers'.
const BUILDS: [&[&str]; 3] = [
    &["--example", "echo", "--example", "proxy"],
    &[
        "-p",
        "wsworker-bench",
        "--bin",
        "bench-room",
        "--bin",
        "bench-counter",
        "--bin",
        "peer-fastwebsockets",
    ],
    &[
        "-p",
        "wsworker-bench",
        "--features",
        "peers",
        "--bin",
        "peer-actix-ws",
        "--bin",
        "peer-axum",
        "--bin",
        "peer-axum-room",
        "--bin",
        "peer-tokio-tungstenite",
        "--bin",
        "peer-tokio-websockets",
        "--bin",
        "peer-yawc",
    ],
];

/// The programs, by name.
#[derive(Debug, Default)]
pub struct Built(HashMap<String, PathBuf>);

impl Built {
    /// Builds all of them with the profile `release`.
    pub fn all() -> Result<Self> {
        let mut built = Self::default();
        // The same program with another feature, under another name: the next build has its place.
        built.build(&["--example", "echo", "--features", "tls"])?;
        built.keep("echo", "echo-tls")?;
        for arguments in BUILDS {
            built.build(arguments)?;
        }
        Ok(built)
    }

    /// Where the program of this name is.
    pub fn path(&self, name: &str) -> Result<&Path> {
        let path = self.0.get(name);
        let path = path.with_context(|| format!("cargo has built no {name}"))?;
        Ok(path)
    }

    /// Copies a program that was built to a file of another name beside it.
    fn keep(&mut self, program: &str, name: &str) -> Result<()> {
        let from = self.path(program)?;
        let to = from.with_file_name(name);
        fs::copy(from, &to).with_context(|| format!("writing {}", to.display()))?;
        self.0.insert(name.to_owned(), to);
        Ok(())
    }

    fn build(&mut self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(cargo())
            .current_dir(workspace())
            .args(["build", "--release", "--locked"])
            .arg("--message-format=json-render-diagnostics")
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .context("starting cargo")?;
        ensure!(
            output.status.success(),
            "cargo build {} has failed",
            arguments.join(" ")
        );
        for line in String::from_utf8(output.stdout)?.lines() {
            self.0.extend(executable(line));
        }
        Ok(())
    }
}

/// The directory of the workspace.
pub fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package is in a directory of the workspace")
}

/// The cargo that runs this program, if one does.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The program that one of cargo's messages tells of.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message["executable"].as_str()?;
    let name = message["target"]["name"].as_str()?;
    Some((name.to_owned(), path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_count() {
        let program = r#"{"target": {"name": "echo"}, "executable": "/t/echo"}"#;
        let library = r#"{"target": {"name": "wsworker"}, "executable": null}"#;
        let expected = ("echo".to_owned(), PathBuf::from("/t/echo"));
        assert_eq!(executable(program), Some(expected));
        assert_eq!(executable(library), None);
    }
}
