//! What most programs use: `use wsworker::prelude::*`.

pub use crate::{
    Body, CloseCode, CloseEvent, Env, Error, Message, ReadBody, Request, Response, Result, Server,
    WebSocket, Worker, worker,
};
