//! Waiting until a handle's queue has room.
//! Does not write what is in it; the task does.

use std::sync::atomic::Ordering;

use tokio::sync::futures::OwnedNotified;

use super::{Handle, State};
use crate::error::{Error, Result};

impl Handle {
    /// Waits until `send` finds room, beside so many bytes that are held. Once it had to
    /// wait it waits until half of the limit is free.
    ///
    /// Cancel safe, and a dropped call leaves nothing behind.
    pub(crate) async fn ready(&self, held: usize) -> Result<()> {
        let mut waited = false;
        while let Some(room) = self.awaits_room(held, &mut waited)? {
            room.await;
        }
        Ok(())
    }

    /// What rings when there may be room; none if there is.
    fn awaits_room(&self, held: usize, waited: &mut bool) -> Result<Option<OwnedNotified>> {
        let has_room = || self.may_send(held).is_ok();
        let mut queue = self.queue();
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        if !*waited && has_room() {
            return Ok(None);
        }
        *waited = true;
        let for_room = &mut queue.waiting.get_or_insert_default().for_room;
        // It hears what rings from now on, polled or not.
        let room = for_room.get_or_insert_default().clone().notified_owned();
        // Said before the look at what is buffered, as the writer counts before it
        // looks at this: one of the two sees the other.
        self.awaited.store(true, Ordering::SeqCst);
        Ok((self.is_over_half() || !has_room()).then_some(room))
    }

    /// Tells those who wait for room, if there is enough.
    #[inline]
    pub(in crate::connection) fn tell_room(&self) {
        if self.awaited.load(Ordering::SeqCst) && !self.is_over_half() {
            self.wake_waiting();
        }
    }

    /// Calls those who wait for room: there is some, or there never will be.
    pub(super) fn wake_waiting(&self) {
        let for_room = {
            let mut queue = self.queue();
            self.awaited.store(false, Ordering::SeqCst);
            queue.waiting.as_mut().and_then(|w| w.for_room.take())
        };
        if let Some(for_room) = for_room {
            for_room.notify_waiters();
        }
    }
}
