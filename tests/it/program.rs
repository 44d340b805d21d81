//! A program under test as a process: what it says, signals, its end.
//! Does not know which one: whoever starts it does.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Starting a process on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running program, killed when this is dropped.
pub struct Program {
    pub child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// On a free port; of the settings of whoever runs the test it gets none.
    pub fn start(mut command: Command, env: &[(&str, &str)]) -> Program {
        for (name, _) in std::env::vars() {
            if name.starts_with("WSWORKER_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .env("WSWORKER_ADDR", "127.0.0.1:0")
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (line, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().unwrap());
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().unwrap());
        for pipe in [stdout, stderr] {
            let line = line.clone();
            thread::spawn(move || {
                for text in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = line.send(text);
                }
            });
        }
        let seen = Vec::new();
        Program { child, lines, seen }
    }

    /// The addresses it says it listens on, once it has said so many.
    pub fn addrs(&mut self, count: usize) -> Vec<SocketAddr> {
        let mut addrs = Vec::new();
        while addrs.len() < count {
            let line = self.next_line("more addresses");
            let words = line.split(|c: char| c.is_whitespace() || "/,=".contains(c));
            let words = words.map(|word| word.trim_end_matches(['.', ';', ')']));
            addrs.extend(words.filter_map(|word| word.parse::<SocketAddr>().ok()));
        }
        addrs
    }

    pub fn addr(&mut self) -> SocketAddr {
        self.addrs(1)[0]
    }

    /// The next line with this in it.
    pub fn says(&mut self, wanted: &str) -> String {
        loop {
            let line = self.next_line(wanted);
            if line.contains(wanted) {
                return line;
            }
        }
    }

    fn next_line(&mut self, wanted: &str) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|_| {
            panic!("it does not say '{wanted}'; it said {:?}", self.seen);
        });
        self.seen.push(line.clone());
        line
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end; gives its status and all that it said.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        };
        // Both pipes end with the process.
        let mut said = std::mem::take(&mut self.seen);
        said.extend(self.lines.iter());
        (status, said.join("\n"))
    }

    /// A figure of `/proc/PID/status`, in KiB.
    pub fn status_kib(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub fn threads(&self) -> usize {
        let path = format!("/proc/{}/task", self.child.id());
        std::fs::read_dir(path).unwrap().count()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
