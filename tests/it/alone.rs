//! A test in a process of its own, and what it leaves there: tasks and descriptors.
//! Does not look at memory.

use std::any::type_name;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::raw::DEADLINE;
use crate::server::within;

/// Runs a test as `within` does, in a process where no other one opens descriptors:
/// the test binary once more, for this test alone.
pub fn alone<F: AsyncFnOnce() + Send + 'static>(test: F) {
    if std::env::var_os(ALONE).is_some() {
        return within(test);
    }
    // `it::module::name::{{closure}}`, of which the crate is no part of a test's name.
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").expect("it is in a crate").1;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "")
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let passed = output.status.success() && out.contains("1 passed");
    assert!(passed, "{name}, alone:\n{out}{err}");
}

const ALONE: &str = "TEST_ALONE";

/// What is there at one time: tasks of this runtime, open descriptors of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    tasks: usize,
    descriptors: usize,
}

impl Held {
    pub fn now() -> Held {
        Held {
            tasks: Handle::current().metrics().num_alive_tasks(),
            descriptors: descriptors(),
        }
    }

    /// Waits until it is so again.
    pub async fn again(&self, after: &str) {
        let begun = Instant::now();
        loop {
            let now = Held::now();
            if now == *self {
                return;
            }
            let is_late = begun.elapsed() > DEADLINE;
            assert!(!is_late, "after {after}: {now:?}, before it {self:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }
}

#[cfg(target_os = "linux")]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> usize {
    0
}
