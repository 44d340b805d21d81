//! The integration tests of what is behind features. They share the server under
//! test and the raw client with `tests/it`.

#[path = "../../it/alone.rs"]
mod alone;
mod client;
mod files;
mod process;
#[path = "../../it/program.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod program;
#[path = "../../it/raw/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod raw;
#[path = "../../it/server.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is used here")]
mod server;
mod storage;
mod tls;
