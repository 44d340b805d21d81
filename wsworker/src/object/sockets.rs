//! Some of an object's sockets, chosen by tag, to be sent to or looked through.
//! Does not send by itself: the running event holds what is sent.

use std::fmt;
use std::sync::Arc;

use super::core::Core;
use super::event::Event;
use super::member::{Member, Selection};
use crate::connection::State;
use crate::log::warn;
use crate::protocol::message::Message;
use crate::socket::{Outlet, WebSocket};

/// An object's open sockets, or some of them.
///
/// ```no_run
/// # fn f(ctx: &wsworker::ObjectContext, ws: &wsworker::WebSocket) {
/// ctx.sockets().tagged("player").except(ws).broadcast("your turn");
/// # }
/// ```
#[must_use = "it is only a choice of sockets"]
pub struct Sockets {
    core: Arc<Core>,
    chosen: Selection,
}

impl Sockets {
    pub(super) fn of(core: &Arc<Core>) -> Self {
        Self {
            core: core.clone(),
            chosen: core.select(),
        }
    }

    /// Those that have this tag too.
    pub fn tagged(mut self, tag: &str) -> Self {
        let tagged = self.chosen.members.iter().filter(|m| m.has_tag(tag));
        self.chosen.members = Arc::new(tagged.cloned().collect());
        self
    }

    /// Those that are not this one.
    pub fn except(mut self, ws: &WebSocket) -> Self {
        if let Ok(member) = Member::of(ws, &self.core) {
            self.chosen.leave_out(member);
        }
        self
    }

    /// Sends one message to all of them, when the event is durable. A socket that has
    /// closed by then is skipped, and a full one meets the server's
    /// [`Slow`](crate::Slow) setting. Encoded once, and written to each together with
    /// what the events before sent just now.
    ///
    /// An event that has sent `max_held` bytes (64 MiB) already fails. Outside of events, behind
    /// commits with so many, a broadcast is dropped, and the log says so.
    pub fn broadcast(self, message: impl Into<Message>) {
        let Self { core, chosen } = self;
        let message = message.into();
        let limit = core.options.max_held;
        let unsent = Event::current(&*core, |event| {
            let Some(event) = event else {
                return Some((chosen, message));
            };
            if let Err(error) = event.done.effects.broadcast(chosen, message, limit) {
                event.done.aborted.get_or_insert(error);
            }
            None
        });
        if let Some((chosen, message)) = unsent {
            let held = core.gate.held();
            if held >= limit {
                let key = &core.key;
                warn(&format!(
                    "a broadcast of {key} is dropped: {held} bytes wait for a commit"
                ));
                return;
            }
            // One alone is never too much.
            let _ = core.outside(|effects| effects.broadcast(chosen, message, limit));
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// One after the other, in no order.
    pub fn iter(&self) -> impl Iterator<Item = WebSocket> {
        let open = |member: &&Arc<Member>| {
            self.chosen.has(member) && Outlet::state(&***member) == State::Open
        };
        self.chosen
            .members
            .iter()
            .filter(open)
            .map(Member::websocket)
    }
}

impl IntoIterator for Sockets {
    type Item = WebSocket;
    type IntoIter = std::vec::IntoIter<WebSocket>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
