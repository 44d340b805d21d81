//! Judges this library's client by the WebSocket servers of others; ../run starts
//! one, and says in the environment where it is. What it does is in the path: see
//! ../servers/script.mjs.
//!
//! peer-client NAME

#![expect(clippy::print_stdout, reason = "what came out is its purpose")]

mod checks;
mod peer;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;
use wsworker::prelude::*;

use self::peer::{CANNOT, Peer};

/// What one check may take.
const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let name = std::env::args().nth(1);
    let name = name.ok_or_else(|| Error::new("usage: peer-client NAME"))?;
    let mut judge = Judge::default();
    for peer in [Peer::plain()?, Peer::secure()?] {
        println!("our client against {name} over {}:", peer.scheme());
        checks::all(&mut judge, &peer).await;
    }
    let Judge {
        passed,
        failed,
        left_out,
    } = judge;
    println!("our client against {name}: {passed} passed, {failed} failed, {left_out} left out");
    Ok(match failed == 0 && passed > 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs checks one after the other, and says of each that did not pass why.
#[derive(Default)]
struct Judge {
    passed: usize,
    failed: usize,
    /// What the server cannot do.
    left_out: usize,
}

impl Judge {
    async fn check(&mut self, name: &str, check: impl Future<Output = Result<()>>) {
        let name = name.replace('_', " ");
        let ended = timeout(DEADLINE, check).await;
        match ended.unwrap_or_else(|_| Err(Error::new(format!("no end within {DEADLINE:?}")))) {
            Ok(()) => self.passed += 1,
            Err(error) if error.to_string().contains(CANNOT) => {
                self.left_out += 1;
                println!("  left out {name}: {error}");
            }
            Err(error) => {
                self.failed += 1;
                println!("  FAILED {name}: {error}");
            }
        }
    }
}
