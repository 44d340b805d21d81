//! Chromium, headless, as a client: a real browser's judgement of the server.
//! Fails where it is not installed. Does not treat what any client shows as
//! well: `tests/it` does, by bytes.

mod chat;
mod chromium;
mod clicks;
#[path = "../it/files.rs"]
mod files;
mod guide;
mod origins;
#[path = "../../it/program.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod program;
#[path = "../../it/raw/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod raw;
#[path = "../../it/server.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod server;
mod sockets;
