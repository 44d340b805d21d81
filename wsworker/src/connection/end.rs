//! An end that nobody has accepted: one of a pair, or of a connection that this
//! process opened. Whatever becomes of it happens here, dropping included.
//! Does not open connections.

use std::sync::Arc;

use tokio::runtime;

use super::begin::{Accepted, Opener, Opening, Source};
use super::consumer::Consumer;
use super::handle::Handle;
use super::mailbox::Collector;
use super::pair::{Loss, Pair};
use super::relay;
use crate::protocol::close::{CloseCode, ClosePayload};
use crate::wire::Role;

/// Decides once what it becomes; dropped before that, the other side is told.
pub(crate) struct End {
    /// None when it was decided.
    kind: Option<Kind>,
    /// It is on its way to a peer.
    leaving: bool,
}

enum Kind {
    Paired(Arc<Pair>),
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    Fetched(Box<Fetched>),
}

/// A connection that this process opened.
struct Fetched {
    opening: Opening,
    /// Where it was opened.
    runtime: runtime::Handle,
}

impl End {
    /// Two ends that are each other's peer.
    pub(crate) fn pair() -> (Self, Self) {
        let pair = Arc::<Pair>::default();
        let [one, other] = [pair.clone(), pair].map(|pair| Self::new(Kind::Paired(pair)));
        (one, other)
    }

    /// The client's end of a connection that was opened on the current runtime.
    #[cfg_attr(not(feature = "client"), allow(dead_code))]
    pub(crate) fn fetched(opening: Opening) -> Self {
        let runtime = runtime::Handle::current();
        Self::new(Kind::Fetched(Box::new(Fetched { opening, runtime })))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind: Some(kind),
            leaving: false,
        }
    }

    /// The subprotocol that was agreed on, as far as that is known.
    pub(crate) fn protocol(&self) -> Option<&str> {
        match self.kind.as_ref()? {
            Kind::Paired(pair) => pair.protocol(),
            Kind::Fetched(fetched) => fetched.opening.protocol.as_deref(),
        }
    }

    /// Gives it a consumer, that `make` makes once the connection begins; gives
    /// the connection's handle.
    ///
    /// # Panics
    /// If neither this nor the other end of a pair was accepted inside a runtime.
    #[track_caller]
    pub(crate) fn accept<C: Consumer>(
        mut self,
        make: impl FnOnce(&Arc<Handle>, Option<Opener>) -> C + Send + 'static,
    ) -> Arc<Handle> {
        match self.decided() {
            Kind::Paired(pair) => pair.accept(make),
            Kind::Fetched(fetched) => {
                let handle = Handle::new(Role::Client);
                let accepted = Accepted::new(handle.clone(), make);
                let _inside = fetched.runtime.enter();
                accepted.begin(Source::Opening(fetched.opening));
                handle
            }
        }
    }

    /// It is to go out, and its peer gets this subprotocol.
    pub(crate) fn agree(&mut self, protocol: &str) {
        if let Some(Kind::Paired(pair)) = &self.kind {
            pair.agree(protocol);
        }
    }

    /// It is on its way out. Dropped from now on, it is the peer that is lost.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    /// The response was sent: the other end's peer is whoever got it. On the
    /// runtime that is to serve the connection.
    pub(crate) fn go_out(mut self, opening: Opening) {
        match self.decided() {
            Kind::Paired(pair) => pair.go_out(opening),
            Kind::Fetched(fetched) => relay::to_server(opening, fetched.opening),
        }
    }

    fn decided(&mut self) -> Kind {
        self.kind.take().expect("an end decides once")
    }
}

impl Drop for End {
    fn drop(&mut self) {
        match self.kind.take() {
            None => {}
            Some(Kind::Paired(pair)) => {
                let loss = match self.leaving {
                    true => Loss::Unsent,
                    false => Loss::Dropped,
                };
                pair.lose(loss);
            }
            Some(Kind::Fetched(fetched)) => fetched.close(),
        }
    }
}

impl Fetched {
    /// Says goodbye to a server that nobody talks to.
    fn close(self) {
        let opening = self.opening;
        self.runtime.spawn(async {
            let handle = Handle::new(Role::Client);
            handle.close(&ClosePayload::cut(CloseCode::GOING_AWAY, ""));
            opening.connect(handle, Collector::deaf()).await;
        });
    }
}
