//! A socket of an object: its tags, its attachment, and what is held for it.
//! Does not hear events; `consumer` does.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;

use super::core::Core;
use super::event::Event;
use crate::connection::{Handle, Slow, State};
use crate::error::{Error, Result};
use crate::guard::{log_error, log_error_of};
use crate::protocol::close::{CloseCode, ClosePayload};
use crate::protocol::message::Message;
use crate::socket::{Outlet, WebSocket};

/// One of an object's sockets.
pub(super) struct Member {
    pub(super) core: Arc<Core>,
    handle: OnceLock<Arc<Handle>>,
    /// Where it stands in the object's list.
    at: AtomicU32,
    /// Bytes that events which are not durable have sent to it.
    held: AtomicUsize,
    /// Such an event has closed it.
    closing: AtomicBool,
    /// Events of it were undone after they had ended: it hears of that and of nothing else.
    failed: AtomicBool,
    /// Never accepted, as its event was undone; or closed, and told so.
    gone: AtomicBool,
    kept: Mutex<Option<Box<Kept>>>,
}

/// What many sockets have nothing of.
#[derive(Default)]
struct Kept {
    tags: Box<[Arc<str>]>,
    attachment: Option<Bytes>,
    /// Milliseconds since the Unix epoch.
    auto_responded: Option<u64>,
}

/// What was before a change.
pub(super) enum Change {
    Accepted,
    Tags(Box<[Arc<str>]>),
    Attachment(Option<Bytes>),
}

impl Member {
    pub(super) fn new(core: &Arc<Core>, tags: Box<[Arc<str>]>) -> Arc<Self> {
        let member = Self {
            core: core.clone(),
            handle: OnceLock::new(),
            at: AtomicU32::new(NOWHERE),
            held: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            kept: Mutex::default(),
        };
        if !tags.is_empty() {
            member.set_tags(tags);
        }
        Arc::new(member)
    }

    /// Its place in the object's list is this one now.
    pub(super) fn place(&self, at: usize) {
        let at = u32::try_from(at).expect("an object has fewer sockets");
        self.at.store(at, Ordering::Relaxed);
    }

    /// It has no place any more; gives the one that it had.
    pub(super) fn take_place(&self) -> Option<usize> {
        let at = self.at.swap(NOWHERE, Ordering::Relaxed);
        (at != NOWHERE).then_some(at as usize)
    }

    pub(super) fn bind(&self, handle: Arc<Handle>) {
        // By whichever comes first, the acceptor or the connection; both have the same.
        let _ = self.handle.set(handle);
    }

    pub(super) fn websocket(self: &Arc<Self>) -> WebSocket {
        WebSocket::held(self.clone())
    }

    /// The member that a socket is, if it is one of this object's.
    pub(super) fn of(ws: &WebSocket, core: &Core) -> Result<Arc<Self>> {
        let member = ws
            .outlet()
            .and_then(|outlet| outlet.downcast::<Self>().ok());
        let own = member.filter(|member| std::ptr::eq(&*member.core, core));
        own.ok_or_else(|| Error::invalid(format!("socket {} is not this object's", ws.id())))
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Gives whether it had not.
    pub(super) fn set_failed(&self) -> bool {
        !self.failed.swap(true, Ordering::AcqRel)
    }

    /// As `on_error` has it by default.
    pub(super) fn log_error(ws: &WebSocket, error: &Error) {
        let member = ws
            .outlet()
            .and_then(|outlet| outlet.downcast::<Self>().ok());
        match member {
            Some(member) => {
                let whose = format!("a callback of {}", member.core.key);
                log_error_of(&whose, ws, error);
            }
            None => log_error(ws, error),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(super) fn has_tag(&self, tag: &str) -> bool {
        let kept = self.kept();
        let mut tags = kept.iter().flat_map(|kept| &kept.tags);
        tags.any(|other| **other == *tag)
    }

    pub(super) fn tags(&self) -> Box<[Arc<str>]> {
        let kept = self.kept();
        kept.as_ref()
            .map(|kept| kept.tags.clone())
            .unwrap_or_default()
    }

    /// Gives what was before.
    pub(super) fn set_tags(&self, tags: Box<[Arc<str>]>) -> Change {
        let mut kept = self.kept();
        let before = &mut kept.get_or_insert_default().tags;
        Change::Tags(std::mem::replace(before, tags))
    }

    pub(super) fn attachment(&self) -> Option<Bytes> {
        self.kept().as_ref()?.attachment.clone()
    }

    /// Gives what was before.
    pub(super) fn set_attachment(&self, attachment: Option<Bytes>) -> Change {
        let mut kept = self.kept();
        let before = &mut kept.get_or_insert_default().attachment;
        Change::Attachment(std::mem::replace(before, attachment))
    }

    /// Bytes that may wait for it.
    pub(super) fn max_buffered(&self) -> usize {
        Outlet::handle(self).max_buffered()
    }

    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Sends it now. One that is closed is skipped; one that is full meets the
    /// server's setting.
    pub(super) fn deliver(&self, message: &Message) {
        self.sent(self.handle().send(message));
    }

    /// As `deliver`, of frames that others get too.
    pub(super) fn deliver_frames(&self, frames: &Bytes) {
        self.sent(self.handle().send_frames(frames));
    }

    #[inline]
    fn sent(&self, sent: Result<()>) {
        let handle = self.handle();
        let full = matches!(sent, Err(error) if error.is_full());
        if full && handle.slow() == Slow::Close {
            handle.close(&ClosePayload::cut(CloseCode::TRY_AGAIN, "too slow"));
        }
    }

    pub(super) fn close_now(&self, close: &ClosePayload) {
        self.handle().close(close);
    }

    /// Is it closed by an event, durable or not?
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Closes it, as the server goes away: behind what events have sent to it.
    pub(super) fn leave(self: &Arc<Self>, closing: &ClosePayload) {
        Outlet::close(self.clone(), closing.clone());
        if !self.is_closing() {
            // A commit failed, and took it along.
            self.close_now(closing);
        }
    }

    /// The event that closed it was undone. A server that goes away closes it then.
    pub(super) fn reopen(&self) {
        self.closing.store(false, Ordering::Release);
        if let Some(handle) = self.handle.get() {
            handle.wake();
        }
    }

    /// Answers a message that the object need not hear.
    pub(super) fn auto_respond(&self, response: &Message) {
        let _ = self.handle().send(response);
        let now = self.core.shared.unix_now();
        self.kept().get_or_insert_default().auto_responded = Some(now);
    }

    /// When it was last answered so: milliseconds since the Unix epoch.
    pub(super) fn auto_responded(&self) -> Option<u64> {
        self.kept().as_ref()?.auto_responded
    }

    fn kept(&self) -> MutexGuard<'_, Option<Box<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Member {
    #[inline]
    fn handle(&self) -> &Handle {
        self.handle
            .get()
            .expect("a socket that can be had is bound")
    }

    fn send(self: Arc<Self>, message: Message) -> Result<()> {
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        let held = self.held();
        self.handle().may_send(held)?;
        let core: *const Core = &*self.core;
        let sent = Event::current(core, |event| match event {
            Some(event) => Ok(event.done.effects.send(self, message)),
            None => Err((self, message)),
        });
        sent.unwrap_or_else(|(member, message)| {
            let core = member.core.clone();
            core.outside(|effects| effects.send(member, message))
        })
    }

    #[inline]
    fn send_own(&self, message: &Message) -> Option<Result<()>> {
        match self.is_closing() {
            true => None,
            false => Event::current(&*self.core, |event| event?.send_own(self, message)),
        }
    }

    fn close(self: Arc<Self>, close: ClosePayload) {
        if self.state() != State::Open || self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        let core: *const Core = &*self.core;
        let unsent = Event::current(core, |event| match event {
            Some(event) => {
                event.done.effects.close(self, close);
                None
            }
            None => Some((self, close)),
        });
        if let Some((member, close)) = unsent {
            // It cannot fail: nothing is charged for a Close.
            let core = member.core.clone();
            let _ = core.outside(|effects| {
                effects.close(member, close);
                Ok(())
            });
        }
    }

    fn state(&self) -> State {
        match self.handle().state() {
            State::Open if self.closing.load(Ordering::Acquire) => State::Closing,
            state => state,
        }
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn settled(self: Arc<Self>) -> Pin<Box<dyn Future<Output = Result<usize>> + Send>> {
        Box::pin(async move {
            let is_open = || match self.state() {
                State::Open => Ok(()),
                _ => Err(Error::closed()),
            };
            is_open()?;
            // Nothing of an event leaves while it waits, unlike what those before it sent.
            let own = Event::current(&*self.core, |event| {
                event.map_or(0, |event| {
                    let effects = &mut event.done.effects;
                    effects.hold_own();
                    effects.held_for(&self)
                })
            });
            self.handle().may_hold(own)?;
            if self.held() > own && self.handle().may_send(self.held()).is_err() {
                self.core.gate.settle().await;
                is_open()?;
            }
            Ok(own)
        })
    }
}

/// Some of an object's sockets.
pub(super) struct Selection {
    pub(super) members: Arc<Vec<Arc<Member>>>,
    /// Without these.
    pub(super) except: Vec<Arc<Member>>,
}

impl Selection {
    pub(super) fn of(members: Arc<Vec<Arc<Member>>>) -> Self {
        let except = Vec::new();
        Self { members, except }
    }

    pub(super) fn leave_out(&mut self, member: Arc<Member>) {
        self.except.push(member);
    }

    pub(super) fn has(&self, member: &Arc<Member>) -> bool {
        !self.except.iter().any(|other| Arc::ptr_eq(other, member))
    }
}

/// In no list.
const NOWHERE: u32 = u32::MAX;
