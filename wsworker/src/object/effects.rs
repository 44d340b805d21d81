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
    pub(super) fn of(source: Option<&Arc<Member>>) -> Self {
        let source = source.cloned();
        Self {
            source,
            ..Self::default()
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
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
    pub(super) fn release(self, core: &Arc<Core>) {
        if !self.sent.is_empty() {
            core.outgoing.push(self.sent);
        }
        for after in self.after {
            core.start(after);
        }
        if let Some(done) = self.done {
            // Whoever asked may have gone.
            let _ = done.send(Ok(()));
        }
    }

    /// It never happened. Gives the socket that it came from.
    pub(super) fn undo(self, core: &Core, why: impl Fn() -> Error) -> Option<Arc<Member>> {
        for sent in self.sent {
            match sent {
                Sent::To(member, message) => member.let_go(message.len()),
                Sent::Close(member, _) => member.reopen(),
                Sent::Broadcast(..) => {}
            }
        }
        for (member, change) in self.changes.into_iter().rev() {
            core.take_back(&member, change);
        }
        if let Some(done) = self.done {
            let _ = done.send(Err(why()));
        }
        self.source
    }
}
