//! Frames that go into the batch of the connection's own turn, and can be taken out again
//! until that turn ends.
//! Does not decide whether they stay.

use std::ops::Range;

use bytes::Bytes;

use super::{Handle, State};
use crate::connection::turn;
use crate::error::{Error, Result};
use crate::protocol::message::Message;

impl Handle {
    /// As `send`, of a small message in the connection's own turn with nothing waiting before
    /// it, which is to lie right behind those that `own` says, if any, and then belongs to
    /// them. `None` if it cannot, and nothing has happened.
    #[inline]
    pub(crate) fn send_own(&self, message: &Message, own: &mut Range<usize>) -> Option<Result<()>> {
        if self.state() != State::Open || !self.is_drained() {
            return None;
        }
        let limit = self.max_buffered();
        turn::own(self, |batch| {
            let batch = batch?;
            if batch.len() >= limit {
                return Some(Err(Error::full(batch.len(), limit)));
            }
            let end = batch.end();
            let is_first = own.start == own.end;
            if !is_first && own.end != end || !batch.push_small(self.role, message) {
                return None;
            }
            let start = if is_first { end } else { own.start };
            *own = start..batch.end();
            Some(Ok(()))
        })
    }

    /// Takes frames out again. `None` if this is not the turn any more, or one within it.
    pub(crate) fn take_own(&self, frames: &Range<usize>) -> Option<Bytes> {
        turn::own(self, |batch| Some(batch?.cut(frames.clone())))
    }
}
