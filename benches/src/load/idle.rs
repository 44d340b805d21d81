//! Idle connections: many at once, and what each holds of the server's memory.
//! Measures no time, and not what the kernel holds for the sockets.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::Target;
use crate::frame::{self, Batch, opcode};
use crate::process::{Each, Memory};
use crate::{machine, net};

/// Connections opened and closed before the first reading, so that what a server allocates once is
/// not counted.
const WARM_UP: usize = 100;

/// How many connections, and what each does.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Connections.
    pub conns: usize,
    /// Each sends one message of 20 bytes and gets its echo, then rests.
    pub one_message: bool,
    /// Then each sends the header of a frame of so many bytes, and one of them.
    pub announce: Option<u64>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Connections held.
    pub conns: usize,
    /// The server before the first of them.
    pub before: Memory,
    /// With all of them at rest.
    pub idle: Memory,
    /// The difference, for each connection.
    pub idle_each: Each,
    /// With a frame announced on each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced: Option<Memory>,
    /// The difference to the first reading, for each connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub announced_each: Option<Each>,
}

/// Opens the connections, reads the server's memory, and closes them.
pub fn run(target: Target, idle: Idle) -> Result<Report> {
    ensure!(idle.conns > 0, "an idle load needs a connection");
    machine::raise_open_files(idle.conns as u64 + 64)?;
    drop(open(target, idle, WARM_UP)?);
    target.settle()?;
    let before = Memory::settled(target.pid)?;

    let mut streams = open(target, idle, idle.conns)?;
    let resting = Memory::settled(target.pid)?;

    let announced = match idle.announce {
        Some(declared) => {
            announce(&mut streams, declared)?;
            Some(Memory::settled(target.pid)?)
        }
        None => None,
    };
    ensure!(all_open(&streams)?, "the server closed an idle connection");
    Ok(Report {
        conns: idle.conns,
        before,
        idle: resting,
        idle_each: resting.each_since(&before, idle.conns),
        announced,
        announced_each: announced.map(|m| m.each_since(&before, idle.conns)),
    })
}

fn open(target: Target, idle: Idle, count: usize) -> Result<Vec<TcpStream>> {
    let batch = Batch::new(opcode::BINARY, 20, 1);
    let mut reply = vec![0; batch.reply.len()];
    let mut streams = Vec::with_capacity(count);
    for nth in 0..count {
        let mut stream = net::open(target.addr, nth)?;
        if idle.one_message {
            stream.write_all(&batch.request)?;
            stream.read_exact(&mut reply)?;
            ensure!(
                batch.matches(0, &reply),
                "a reply is not its message's echo"
            );
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// RFC 6455 §5.2: a length is only a claim; a server that allocates what is claimed can be emptied
/// with fifteen bytes a connection.
fn announce(streams: &mut [TcpStream], declared: u64) -> Result<()> {
    let mut bytes = Vec::new();
    frame::header(
        &mut bytes,
        opcode::BINARY,
        true,
        Some([1, 2, 3, 4]),
        declared,
    );
    bytes.push(0);
    for stream in streams {
        stream.write_all(&bytes)?;
    }
    Ok(())
}

/// A connection that the server has closed would count as one that costs nothing.
fn all_open(streams: &[TcpStream]) -> Result<bool> {
    for stream in streams {
        stream.set_nonblocking(true)?;
        match net::unless_blocked(stream.peek(&mut [0])) {
            Ok(None | Some(1..)) => {}
            Ok(Some(0)) | Err(_) => return Ok(false),
        }
    }
    Ok(true)
}
