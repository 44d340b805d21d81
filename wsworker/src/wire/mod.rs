//! Bytes ↔ frames, on fastwebsockets' frame layer: the strict reader, the batch
//! of frames to send, and the bytes that were read.
//! Does no I/O, and knows neither sockets nor handlers.

pub(crate) mod batch;
pub(crate) mod chunk;
mod head;
pub(crate) mod key;
mod mask;
#[cfg(any(test, fuzzing))]
pub(crate) mod model;
pub(crate) mod reader;

#[cfg(feature = "objects")]
pub(crate) use batch::encode_message;
pub(crate) use batch::{Batch, Role};
pub(crate) use chunk::{CHUNK, Chunk, Part};
pub(crate) use fastwebsockets::OpCode;
pub(crate) use reader::{Item, Reader};
