//! What most programs use: `use wsworker::prelude::*`.

#[cfg(feature = "client")]
pub use crate::Client;
#[cfg(feature = "objects")]
#[cfg_attr(docsrs, doc(cfg(feature = "objects")))]
pub use crate::{AlarmInfo, DurableObject, ListOptions, ObjectContext, call};
pub use crate::{
    Body, CloseCode, CloseEvent, Env, Error, Event, Message, ReadBody, Request, Response, Result,
    Router, Server, WebSocket, WebSocketEnd, WebSocketPair, Worker, durable_object, worker,
};
