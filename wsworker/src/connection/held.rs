//! A connection that runs before anybody listens: the end of a pair that went
//! out while the other one was not accepted yet.
//! Does not decide what becomes of it; `pair` does.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::begin::{Accepted, Opener, Opening, Source};
use super::handle::Handle;
use super::mailbox::Collector;
use super::pair::Loss;
use super::relay;
use super::task::Connection;
use crate::wire::Role;

/// A connection that is held.
pub(super) struct Held {
    handle: Arc<Handle>,
    state: Mutex<State>,
}

enum State {
    Waiting,
    Decided(Fate),
    /// The connection went on, or its runtime has ended.
    Over,
}

/// What becomes of it.
pub(super) enum Fate {
    Accepted(Accepted),
    /// The other end is a client's too.
    Joined(Box<Opening>),
    /// Nobody will ever listen.
    Lost(Loss),
}

impl Held {
    /// Runs the connection, on the current runtime.
    pub(super) fn hold(mut opening: Opening) -> Arc<Self> {
        let opener = opening.opener.take();
        let handle = Handle::new(Role::Server);
        let connection = opening.connect(handle.clone(), Collector::deaf());
        let held = Arc::new(Self {
            handle,
            state: Mutex::new(State::Waiting),
        });
        tokio::spawn(Holding {
            held: held.clone(),
            connection: Some(connection.hold()),
            opener,
        });
        held
    }

    pub(super) fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    pub(super) fn decide(&self, fate: Fate) {
        let mut state = self.state();
        if matches!(*state, State::Over) {
            // Dropped outside the lock: the fate may be somebody's consumer.
            drop(state);
            return drop(fate);
        }
        *state = State::Decided(fate);
        drop(state);
        self.handle.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a held connection.
struct Holding {
    held: Arc<Held>,
    connection: Option<Connection<Collector>>,
    opener: Option<Opener>,
}

impl Future for Holding {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(connection) = &mut self.connection {
            // Before the look at its fate: now the handle knows whom to wake.
            let _ = Pin::new(&mut *connection).poll(cx);
            connection.give_place_back();
        }
        let fate = {
            let mut state = self.held.state();
            match std::mem::replace(&mut *state, State::Over) {
                State::Decided(fate) => fate,
                undecided => {
                    *state = undecided;
                    return Poll::Pending;
                }
            }
        };
        let connection = self.connection.take().expect("it is held until it is over");
        match fate {
            Fate::Accepted(accepted) => {
                let opener = self.opener.take();
                accepted.begin(Source::Held(connection, opener));
            }
            Fate::Joined(other) => {
                let handle = self.held.handle.clone();
                relay::between_clients(connection, handle, *other);
            }
            Fate::Lost(loss) => {
                self.held.handle.close(&loss.close());
                tokio::spawn(connection.hand_over(Collector::deaf()));
            }
        }
        Poll::Ready(())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.held.state(), State::Over);
        drop(state);
    }
}
