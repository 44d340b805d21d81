//! Deadlines: silence, a slow frame, a peer that takes nothing, a slow end.
//! Does not measure time; the hub does, in ticks.

use std::io;
use std::time::Duration;

use super::{Connection, Listening};
use crate::connection::clock::ticks;
use crate::connection::consumer::Consumer;
use crate::connection::life::Phase;
use crate::connection::stream::Stream;
use crate::error::Error;
use crate::wire::OpCode;

impl<C: Consumer> Connection<C> {
    /// The peer gave a sign of life, or could not.
    #[inline]
    pub(super) fn heard(&mut self, n: usize) {
        self.last_byte = self.handle.hub().now();
        self.pinged = false;
        if let (0, Some(awake)) = (n, &mut self.awake) {
            awake.frame_since = awake.frame_since.map(|_| self.last_byte);
        }
    }

    /// Starts, renews or stops the clock of the frame under way, of which the
    /// start may be `left` unparsed.
    pub(super) fn time_frame(&mut self, n: usize, fresh: bool, left: bool) {
        let now = self.last_byte;
        let stashed = self.awake.as_ref().is_some_and(|awake| awake.stashed);
        if !self.reader.in_frame() && (stashed || !left) {
            if let Some(awake) = &mut self.awake {
                awake.frame_since = None;
            }
            return;
        }
        let awake = self.awake();
        awake.frame_bytes += n;
        if fresh || awake.frame_since.is_none() || awake.frame_bytes >= FRAME_PROGRESS {
            awake.frame_since = Some(now);
            awake.frame_bytes = 0;
        }
    }

    /// Acts on the deadlines that passed.
    pub(super) fn keep_time(&mut self) {
        let now = self.handle.hub().now();
        if now < self.armed {
            return;
        }
        self.armed = u32::MAX;
        match self.life.phase() {
            Phase::Open => self.keep_open_time(now),
            _ if now < self.life.deadline() => {}
            Phase::Ending => {
                self.drop_ahead();
                self.reply();
            }
            Phase::Closing | Phase::Flushing | Phase::Lingering => {
                self.drop_stream();
                self.life.gone();
            }
            Phase::Gone => {}
        }
    }

    fn keep_open_time(&mut self, now: u32) {
        if self.stopped && self.stream.as_mut().is_some_and(Stream::is_reset) {
            return self.lost(io::ErrorKind::ConnectionReset.into());
        }
        let hub = self.handle.hub();
        let (idle, limits) = (hub.times.idle, hub.limits);
        let stalled = self
            .stalled_since()
            .is_some_and(|since| now >= since + idle);
        let quiet = now.saturating_sub(self.last_byte);
        if stalled || (!self.stopped && quiet >= idle) {
            self.lost(io::ErrorKind::TimedOut.into());
        } else if self
            .frame_due()
            .is_some_and(|due| now >= due && !self.stopped)
        {
            let timeout = limits.frame_timeout;
            let message = format!("a frame was not whole within {timeout:?}");
            self.violated(Error::protocol(1008, message));
        } else if !self.stopped && !self.pinged && quiet >= idle / 2 {
            self.pinged = true;
            let payload = match &self.consumer {
                Listening::Idle(consumer) => consumer.own_ping(),
                _ => &[],
            };
            self.handle.send_control(OpCode::Ping, payload);
        }
    }

    /// Since when the peer takes nothing of what waits for it.
    fn stalled_since(&self) -> Option<u32> {
        let awake = self.awake.as_ref()?;
        awake.writing.as_ref().map(|_| awake.wrote)
    }

    fn frame_due(&self) -> Option<u32> {
        let since = self.awake.as_ref()?.frame_since?;
        Some(since + self.handle.hub().times.frame)
    }

    /// Before the task waits: lets go of what is not needed, and asks to be
    /// called in time.
    #[inline(always)]
    pub(super) fn park(&mut self) {
        if self.awake.as_ref().is_some_and(|awake| awake.is_idle()) {
            self.awake = None;
        }
        let calm = self.awake.is_none() && self.life.phase() == Phase::Open && !self.stopped;
        if calm && self.armed != u32::MAX && !self.pinged {
            // What was asked for comes early, and will be put off then.
            return;
        }
        self.arm();
    }

    /// Asks to be called at the nearest deadline.
    fn arm(&mut self) {
        let due = match self.life.phase() {
            Phase::Open => {
                let idle = self.handle.hub().times.idle;
                let silence = if self.pinged { idle } else { idle / 2 };
                let silence = if self.stopped {
                    // No read would find a reset out.
                    self.handle.hub().now() + ticks(RESET_LOOK)
                } else {
                    self.last_byte + silence
                };
                let stall = self.stalled_since().map(|since| since + idle);
                let frame = self.frame_due().filter(|_| !self.stopped);
                [Some(silence), stall, frame].into_iter().flatten().min()
            }
            Phase::Gone => None,
            _ => Some(self.life.deadline()),
        };
        if let Some(due) = due.filter(|due| *due < self.armed) {
            self.armed = due;
            self.handle.hub().set(self.handle.timer(), due);
        }
    }
}

/// How often a peer that is not read is looked after.
const RESET_LOOK: Duration = Duration::from_secs(2);

/// A slow frame's clock starts anew when it has brought so much.
const FRAME_PROGRESS: usize = 64 * 1024;
