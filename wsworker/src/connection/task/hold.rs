//! A connection whose consumer comes later, or changes before it heard anything.
//! Does not know who decides; `pair` does.

use std::future::pending;

use super::{Connection, Listening, Outcome};
use crate::connection::consumer::Consumer;
use crate::connection::handle::Handle;

impl<C: Consumer> Connection<C> {
    /// Tells nobody anything until it is handed over. Meanwhile it reads ahead,
    /// answers pings and keeps its deadlines, as while a callback waits.
    pub(in crate::connection) fn hold(mut self) -> Self {
        self.consumer = Listening::Running(Box::pin(pending()), Outcome::Counts);
        self
    }

    /// A connection that is held counts no more when its stream is gone, though
    /// somebody may yet hear how it ended.
    pub(in crate::connection) fn give_place_back(&mut self) {
        if self.stream.is_none() {
            self.guard = None;
        }
    }

    pub(in crate::connection) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The same connection, with this consumer from its first event on.
    pub(in crate::connection) fn hand_over<D: Consumer>(self, consumer: D) -> Connection<D> {
        Connection {
            handle: self.handle,
            stream: self.stream,
            reader: self.reader,
            consumer: Listening::Idle(consumer),
            life: self.life,
            awake: self.awake,
            armed: self.armed,
            last_byte: self.last_byte,
            pinged: self.pinged,
            stopped: self.stopped,
            begun: false,
            guard: self.guard,
        }
    }
}
