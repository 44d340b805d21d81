//! What most programs use: `use wsworker::prelude::*`.

pub use crate::{
    Body, CloseCode, CloseEvent, Env, Error, Message, ReadBody, Request, Response, Result, Server,
    WebSocket, Worker, durable_object, worker,
};
#[cfg(feature = "objects")]
#[cfg_attr(docsrs, doc(cfg(feature = "objects")))]
pub use crate::{DurableObject, ObjectContext, call};
