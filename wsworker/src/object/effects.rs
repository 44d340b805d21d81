//! What one event has done and nobody may see yet: messages to be sent, changes to be
//! taken back, work to be started.
//! Does not know storage; `gate` decides which of the two ends it comes to.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::core::Core;
use super::member::{Change, Member, Selection};
use super::outgoing::Sent;
use crate::error::{Error, Result};
use crate::guard::guarded_drop;
use crate::protocol::close::ClosePayload;
use crate::protocol::message::Message;
use crate::socket::Outlet;

/// What an event has done, in its order.
#[derive(Default)]
pub(super) struct Effects {
    /// Leaves after the commit.
    sent: Vec<Sent>,
    /// Frames before those, in the batch of the turn that it has: of the socket whose event it
    /// is. They leave with that batch, if they are not taken out of it.
    own: Range<usize>,
    /// Is there already, and taken back on undo, the last one first.
    changes: Vec<(Arc<Member>, Change)>,
    /// Begins after the commit.
    after: Vec<After>,
    /// Bytes in `sent` and of the messages in `own`.
    bytes: usize,
    /// The socket whose message or opening it was.
    pub(super) source: Option<Arc<Member>>,
    /// Whoever waits for the end of it.
    pub(super) done: Option<oneshot::Sender<Result<()>>>,
}

/// Work that an event starts.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// When it starts, and what that means.
pub(super) struct After {
    pub(super) work: Work,
    /// Keeps the object from hibernating.
    pub(super) counts: bool,
}

impl Effects {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes in `sent` for this socket alone.
    pub(super) fn held_for(&self, member: &Arc<Member>) -> usize {
        let sent = self.sent.iter().map(|sent| match sent {
            Sent::To(to, _) | Sent::Frames(to, ..) if Arc::ptr_eq(to, member) => sent.bytes(),
            _ => 0,
        });
        sent.sum()
    }

    /// Is its memory worth to be kept for another event?
    pub(super) fn is_small(&self) -> bool {
        const MOST: usize = 64;
        let lists = [
            self.sent.capacity(),
            self.changes.capacity(),
            self.after.capacity(),
        ];
        lists.into_iter().all(|capacity| capacity <= MOST)
    }

    pub(super) fn send(&mut self, to: Arc<Member>, message: Message) -> Result<()> {
        self.charge(message.len(), to.core.options.max_held)?;
        to.hold(message.len());
        self.sent.push(Sent::To(to, message));
        Ok(())
    }

    /// Sends to the source in that one's turn, with nothing held up. `None` if it is to be held
    /// all the same.
    #[inline]
    pub(super) fn send_own(&mut self, to: &Member, message: &Message) -> Option<Result<()>> {
        let is_source = self.source.as_ref().is_some_and(|s| std::ptr::eq(&**s, to));
        if !is_source || !self.sent.is_empty() {
            return None;
        }
        if let Err(error) = self.has_room(to.core.options.max_held) {
            return Some(Err(error));
        }
        let sent = to.handle().send_own(message, &mut self.own)?;
        if sent.is_ok() {
            self.bytes += message.len();
        }
        Some(sent)
    }

    /// Holds what was sent so: the turn may end before the event does, or is durable.
    pub(super) fn hold_own(&mut self) {
        let Some(to) = self.source.as_ref().filter(|_| !self.own.is_empty()) else {
            return;
        };
        // In a turn within that one it stays, and is asked for again.
        if let Some(frames) = to.handle().take_own(&self.own) {
            self.own = 0..0;
            to.hold(frames.len());
            self.sent.insert(0, Sent::Frames(to.clone(), frames));
            self.bytes = self.sent.iter().map(Sent::bytes).sum();
        }
    }

    /// `limit`: bytes that the event may hold.
    pub(super) fn broadcast(
        &mut self,
        to: Selection,
        message: Message,
        limit: usize,
    ) -> Result<()> {
        self.charge(message.len(), limit)?;
        self.sent.push(Sent::Broadcast(to, message));
        Ok(())
    }

    pub(super) fn close(&mut self, member: Arc<Member>, close: ClosePayload) {
        self.sent.push(Sent::Close(member, close));
    }

    pub(super) fn changed(&mut self, member: Arc<Member>, change: Change) {
        self.changes.push((member, change));
    }

    pub(super) fn after(&mut self, after: After) {
        self.after.push(after);
    }

    fn charge(&mut self, bytes: usize, limit: usize) -> Result<()> {
        self.has_room(limit)?;
        self.bytes += bytes;
        Ok(())
    }

    #[inline]
    fn has_room(&self, limit: usize) -> Result<()> {
        match self.bytes < limit {
            true => Ok(()),
            false => Err(Error::held(self.bytes, limit)),
        }
    }

    /// Everything is committed that it builds on. What it sent leaves with the next
    /// [`Outgoing::send`](super::outgoing::Outgoing::send), at the latest.
    ///
    /// Nothing is left in it.
    #[inline]
    pub(super) fn release(&mut self, core: &Arc<Core>) {
        self.own = 0..0;
        self.bytes = 0;
        if !(self.sent.is_empty() && self.changes.is_empty() && self.after.is_empty())
            || self.done.is_some()
        {
            self.release_held(core);
        }
    }

    fn release_held(&mut self, core: &Arc<Core>) {
        if !self.sent.is_empty() {
            core.outgoing.push(&mut self.sent);
        }
        self.changes.clear();
        for after in self.after.drain(..) {
            core.start(after);
        }
        if let Some(done) = self.done.take() {
            // Whoever asked may have gone.
            let _ = done.send(Ok(()));
        }
    }

    /// It never happened.
    pub(super) fn undo(&mut self, core: &Core, why: impl Fn() -> Error) {
        self.hold_own();
        debug_assert!(self.own.is_empty(), "it would leave with its turn");
        let undone = std::mem::take(self);
        for sent in undone.sent {
            match sent {
                Sent::To(member, message) => member.let_go(message.len()),
                Sent::Frames(member, frames) => member.let_go(frames.len()),
                Sent::Close(member, _) => member.reopen(),
                Sent::Broadcast(..) => {}
            }
        }
        for (member, change) in undone.changes.into_iter().rev() {
            core.take_back(&member, change);
        }
        for after in undone.after {
            // A panic of that must not keep anybody from hearing of the undo.
            guarded_drop(|| drop(after));
        }
        if let Some(done) = undone.done {
            let _ = done.send(Err(why()));
        }
    }
}
