//! What an object has of its surroundings: its storage, its sockets, its later work.
//! Does nothing outside the object's events.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::class::ObjectOptions;
use super::core::Core;
use super::effects::After;
use super::event::Event;
use super::id::ObjectId;
use super::member::Member;
use super::sockets::Sockets;
use super::state::{ObjectStorage, decode, encode};
use crate::error::{Error, Result};
use crate::protocol::message::Message;
use crate::socket::{WebSocket, WebSocketEnd};

/// An object's surroundings, given to [`DurableObject::new`](super::DurableObject::new)
/// and kept in the value. Not `Clone`: what runs beside the object's events changes it
/// only by calling its stub.
pub struct ObjectContext {
    core: Arc<Core>,
    storage: ObjectStorage,
}

impl ObjectContext {
    pub(super) fn of(core: &Arc<Core>) -> Self {
        Self {
            core: core.clone(),
            storage: ObjectStorage::of(core),
        }
    }

    /// The object's id. It does not know its class: [`stub`](Self::stub) gives the way to the
    /// object itself.
    pub fn id(&self) -> ObjectId {
        ObjectId::from_bytes(self.core.key.id)
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// The time by which its alarms come: the system's, and in a test with paused time
    /// that which the test lets pass, so that `set_alarm(ctx.now() + …)` is exact in both.
    pub fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.core.shared.unix_now())
    }

    /// Its keys and values, and its alarm.
    pub fn storage(&self) -> &ObjectStorage {
        &self.storage
    }

    /// Its open sockets.
    pub fn sockets(&self) -> Sockets {
        Sockets::of(&self.core)
    }

    /// Takes a socket as the object's own: its events become the object's, and it
    /// stays when the object hibernates. At most `max_sockets` (32,768).
    ///
    /// ```no_run
    /// # use wsworker::prelude::*;
    /// # use wsworker::{ObjectContext, WebSocketPair};
    /// # fn f(ctx: &ObjectContext, req: Request) -> Result<Response> {
    /// let upgrade = req.upgrade()?;
    /// let (client, server) = WebSocketPair::new();
    /// let ws = ctx.accept(server, ["player"])?;
    /// ctx.attach(&ws, &"red")?;
    /// Ok(upgrade.respond(client))
    /// # }
    /// ```
    ///
    /// [`Upgrade::accept`](crate::Upgrade::accept) in the object's `fetch` does the
    /// same without tags. Here none are `[""; 0]`.
    ///
    /// # Errors
    /// More than `max_tags` (10), or one of more than `max_tag` bytes (256); too many
    /// sockets, a 503; or it is called outside any event of the object.
    pub fn accept<I>(&self, end: WebSocketEnd, tags: I) -> Result<WebSocket>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let tags: Box<[_]> = tags.into_iter().map(|tag| tag.as_ref().into()).collect();
        self.check_tags(&tags)?;
        Ok(self.core.accept(end, tags)?.websocket())
    }

    /// The socket's tags.
    ///
    /// # Errors
    /// It is not this object's.
    pub fn tags(&self, ws: &WebSocket) -> Result<Vec<String>> {
        let tags = Member::of(ws, &self.core)?.tags();
        Ok(tags.iter().map(ToString::to_string).collect())
    }

    /// Adds a tag, if the socket does not have it.
    ///
    /// # Errors
    /// As for [`accept`](Self::accept); or the socket is not this object's.
    pub fn add_tag(&self, ws: &WebSocket, tag: &str) -> Result<()> {
        let member = Member::of(ws, &self.core)?;
        if member.has_tag(tag) {
            return Ok(());
        }
        let mut tags = member.tags().into_vec();
        tags.push(tag.into());
        let tags: Box<[_]> = tags.into();
        self.check_tags(&tags)?;
        self.set_tags(member, tags)
    }

    /// Takes a tag away, if the socket has it.
    ///
    /// # Errors
    /// The socket is not this object's; or it is called outside any event.
    pub fn remove_tag(&self, ws: &WebSocket, tag: &str) -> Result<()> {
        let member = Member::of(ws, &self.core)?;
        let mut tags = member.tags().into_vec();
        tags.retain(|other| **other != *tag);
        self.set_tags(member, tags.into())
    }

    /// Attaches a value to the socket, over an earlier one. It lives as long as the
    /// socket, and stays when the object hibernates. At most
    /// `max_attachment` bytes (16 KiB), encoded as [`ObjectStorage::put`] does.
    ///
    /// # Errors
    /// It is too large, or cannot be encoded; the socket is not this object's; or it
    /// is called outside any event.
    pub fn attach<V: Serialize + ?Sized>(&self, ws: &WebSocket, value: &V) -> Result<()> {
        let member = Member::of(ws, &self.core)?;
        let value = encode(value)?;
        let most = self.core.options.max_attachment;
        if value.len() > most {
            return Err(Error::invalid(format!(
                "an attachment has at most {most} bytes, got {}",
                value.len()
            )));
        }
        self.change(member, |member| member.set_attachment(Some(value)))
    }

    /// What is attached to the socket.
    ///
    /// # Errors
    /// It is of another type; or the socket is not this object's.
    pub fn attachment<V: DeserializeOwned>(&self, ws: &WebSocket) -> Result<Option<V>> {
        let value = Member::of(ws, &self.core)?.attachment();
        let decoded = value.map(|value: Bytes| decode(&value)).transpose();
        decoded.map_err(|error| Error::invalid(format!("attachment: {error}")))
    }

    /// Answers every message that equals `request` with `response`, without waking
    /// the object and outside the order of its events, in place of an earlier pair.
    /// Stays when the object hibernates, for as long as it has sockets: set it in `new`, or with
    /// the first. Not part of the event.
    pub fn set_auto_response(&self, request: impl Into<Message>, response: impl Into<Message>) {
        let pair = (request.into(), response.into());
        self.core.set_auto_response(Some(pair));
    }

    /// Ends what [`set_auto_response`](Self::set_auto_response) began: the object hears
    /// such messages again. Not part of the event.
    pub fn clear_auto_response(&self) {
        self.core.set_auto_response(None);
    }

    /// The message that is answered so, and its answer.
    pub fn auto_response(&self) -> Option<(Message, Message)> {
        self.core.auto_response()
    }

    /// When the socket was last answered so.
    ///
    /// # Errors
    /// It is not this object's.
    pub fn auto_response_timestamp(&self, ws: &WebSocket) -> Result<Option<SystemTime>> {
        let at = Member::of(ws, &self.core)?.auto_responded();
        Ok(at.map(|at| UNIX_EPOCH + Duration::from_millis(at)))
    }

    /// Starts work when this event is durable, and keeps the object from hibernating
    /// until it ends; dropped if the event is undone. It has no storage, and changes
    /// the object only through its stub. An error or a panic of it is logged.
    ///
    /// A server that shuts down waits for it, up to what is left of
    /// [`drain_timeout`](crate::Server::drain_timeout), and says how much it dropped then. A
    /// crash loses it: what must happen although the process dies sets an
    /// [alarm](super::ObjectStorage::set_alarm).
    ///
    /// # Errors
    /// It is called outside any event.
    pub fn wait_until(
        &self,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        self.after(Box::pin(work), true)
    }

    /// As [`wait_until`](Self::wait_until), and the object may hibernate meanwhile:
    /// for what must not outlive an undo, such as a request to another service. Once it is
    /// durable that it starts, only the end of the process keeps it from its own end.
    ///
    /// # Errors
    /// It is called outside any event.
    pub fn after_commit(
        &self,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        self.after(Box::pin(work), false)
    }

    /// Makes this event fail, whatever its handler returns: it is undone, and the
    /// value is dropped. The sockets stay.
    ///
    /// # Errors
    /// It is called outside any event.
    pub fn abort(&self, reason: &str) -> Result<()> {
        Event::inside(&self.core, |event| {
            event.done.aborted = Some(Error::new(format!("aborted: {reason}")));
            Ok(())
        })
    }

    fn after(&self, work: super::effects::Work, counts: bool) -> Result<()> {
        Event::inside(&self.core, |event| {
            event.done.effects.after(After { work, counts });
            Ok(())
        })
    }

    fn check_tags(&self, tags: &[Arc<str>]) -> Result<()> {
        let ObjectOptions {
            max_tags, max_tag, ..
        } = *self.core.options;
        if tags.len() > max_tags {
            let seen = tags.len();
            let message = format!("a socket has at most {max_tags} tags, got {seen}");
            return Err(Error::invalid(message));
        }
        match tags.iter().find(|tag| tag.len() > max_tag) {
            Some(tag) => Err(Error::invalid(format!(
                "a tag has at most {max_tag} bytes, got {}",
                tag.len()
            ))),
            None => Ok(()),
        }
    }

    fn set_tags(&self, member: Arc<Member>, tags: Box<[Arc<str>]>) -> Result<()> {
        self.change(member, |member| member.set_tags(tags))
    }

    fn change(
        &self,
        member: Arc<Member>,
        change: impl FnOnce(&Member) -> super::member::Change,
    ) -> Result<()> {
        Event::inside(&self.core, |event| {
            let before = change(&member);
            event.done.effects.changed(member, before);
            Ok(())
        })
    }
}

impl fmt::Debug for ObjectContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectContext({})", self.core.key)
    }
}
