//! What one event has done and nobody may see yet: messages to be sent, changes to be
//! taken back, work to be started.
//! Does not know storage; `gate` decides which of the two ends it comes to.

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

/// What an event has done, in its order.
#[derive(Default)]
pub(super) struct Effects {
    /// Leaves after the commit.
    sent: Vec<Sent>,
    /// Is there already, and taken back on undo, the last one first.
    changes: Vec<(Arc<Member>, Change)>,
    /// Begins after the commit.
    after: Vec<After>,
    /// Bytes in `sent`.
    bytes: usize,
    /// The socket whose message or opening it was, if this waits for a commit.
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
            Sent::To(to, message) if Arc::ptr_eq(to, member) => message.len(),
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
        if self.bytes >= limit {
            return Err(Error::held(self.bytes, limit));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Everything is committed that it builds on. What it sent leaves with the next
    /// [`Outgoing::send`](super::outgoing::Outgoing::send), at the latest.
    ///
    /// Nothing is left in it.
    pub(super) fn release(&mut self, core: &Arc<Core>) {
        if !self.sent.is_empty() {
            core.outgoing.push(&mut self.sent);
            self.bytes = 0;
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
        let undone = std::mem::take(self);
        for sent in undone.sent {
            match sent {
                Sent::To(member, message) => member.let_go(message.len()),
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
