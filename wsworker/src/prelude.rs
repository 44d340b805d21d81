//! What most programs use: `use wsworker::prelude::*`.

pub use crate::{
    CloseCode, CloseEvent, Env, Error, Message, Request, Response, Result, Server, WebSocket,
    Worker, worker,
};
