//! Frames that many connections get, encoded once: written at once where that can
//! be, and else queued, as all that comes from elsewhere.
//! Does not encode them or choose who gets them.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{Handle, Queue, State};
use crate::connection::stream::Writer;
use crate::connection::turn::{self, Home};
use crate::error::{Error, Result};
use crate::wire::Role;

/// What another's turn may write by, on the connection's own thread: there the
/// connection itself is not at it meanwhile.
pub(super) struct Direct {
    home: Home,
    writer: Writer,
}

impl Handle {
    /// From now on others of this thread may write to the stream.
    pub(in crate::connection) fn set_direct(&self, home: Home, writer: Writer) {
        self.queue().direct = Some(Direct { home, writer });
    }

    /// Nobody else writes to the stream from now on.
    pub(in crate::connection) fn end_direct(&self) -> Option<Writer> {
        let direct = self.queue().direct.take();
        direct.map(|direct| direct.writer)
    }

    /// Does it take frames that are encoded for others too? A client's are masked,
    /// each with a key of its own.
    pub(crate) fn takes_frames(&self) -> bool {
        self.role == Role::Server
    }

    /// Will frames probably go out at once? Asked of many first, to have the memory of
    /// the next ones fetched at the same time.
    #[inline]
    pub(crate) fn looks_ready(&self) -> bool {
        self.state() == State::Open && self.is_drained()
    }

    /// As `send`, of frames that are encoded for others too. All of them or none.
    pub(crate) fn send_frames(&self, frames: &Bytes) -> Result<()> {
        let own = turn::held(self, |held| {
            let batch = held.filter(|_| self.is_drained() && self.state() == State::Open)?;
            let limit = self.max_buffered();
            Some(if batch.len() < limit {
                batch.push_frames(frames);
                Ok(())
            } else {
                Err(Error::full(batch.len(), limit))
            })
        });
        own.unwrap_or_else(|| self.queue_frames(frames))
    }

    fn queue_frames(&self, frames: &Bytes) -> Result<()> {
        let mut queue = self.queue();
        // Asked under the lock: a Close is the last frame.
        if self.state() != State::Open {
            return Err(Error::closed());
        }
        let buffered = self.buffered();
        if buffered > 0 && buffered >= self.max_buffered() {
            return Err(Error::full(buffered, self.max_buffered()));
        }
        let written = self.write_direct(&queue, frames);
        if written < frames.len() {
            let rest = frames.slice(written..);
            self.enqueue(&mut queue, |batch| batch.push_shared_frames(rest));
        }
        Ok(())
    }

    /// Writes what goes out at once, if nothing is before it.
    fn write_direct(&self, queue: &Queue, frames: &[u8]) -> usize {
        let Some(direct) = &queue.direct else {
            return 0;
        };
        let waits = queue.waiting.is_some() || self.buffered.load(Ordering::Acquire) > 0;
        match !waits && turn::rests(direct.home) {
            true => direct.writer.write_some(frames),
            false => 0,
        }
    }
}
