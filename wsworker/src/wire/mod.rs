//! Bytes ↔ frames, on fastwebsockets' frame layer: the strict reader, the batch
//! of frames to send, and each thread's buffers.
//! Does no I/O, and knows neither sockets nor handlers.

pub(crate) mod batch;
pub(crate) mod buffers;
mod head;
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
pub(crate) mod reader;

pub(crate) use batch::Batch;
pub(crate) use buffers::Chunk;
pub(crate) use fastwebsockets::OpCode;
pub(crate) use reader::{Item, Reader};
