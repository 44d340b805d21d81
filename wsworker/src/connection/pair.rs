//! Two ends without a network between them, and what becomes of each: accepted,
//! sent out on a connection, or lost. The first to decide waits for the other.
//! Does not know why an end is lost; `end` does.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::io::{DuplexStream, duplex};
use tokio::runtime;

use super::begin::{Accepted, Opener, Opening, Source, Upgraded};
use super::consumer::Consumer;
use super::handle::Handle;
use super::held::{Fate, Held};
use super::hub::{Hub, Limits};
use super::mailbox::Collector;
use super::stream::Stream;
use super::task::READ_AHEAD;
use crate::log;
use crate::protocol::close::{CloseCode, ClosePayload};
use crate::wire::Role;

/// What the two ends share. Each decides once.
#[derive(Default)]
pub(super) struct Pair {
    first: Mutex<Option<Decided>>,
    /// What the handshake of the end that goes out agreed on.
    protocol: OnceLock<Box<str>>,
}

/// What the end that decided first has become.
enum Decided {
    /// It has a consumer, and waits for a connection.
    Accepted(Accepted),
    /// It is a connection, and waits for a consumer.
    Out(Arc<Held>),
    Lost(Loss),
}

/// How an end was lost.
#[derive(Clone, Copy)]
pub(super) enum Loss {
    /// Nobody accepted it.
    Dropped,
    /// It was on its way out to a peer that did not wait.
    Unsent,
}

impl Pair {
    pub(super) fn protocol(&self) -> Option<&str> {
        self.protocol.get().map(|name| &**name)
    }

    pub(super) fn agree(&self, protocol: &str) {
        // One of the two at most goes out and is talked to.
        let _ = self.protocol.set(protocol.into());
    }

    /// An end gets a consumer; gives the handle of its connection.
    #[track_caller]
    pub(super) fn accept<C: Consumer>(
        &self,
        make: impl FnOnce(&Arc<Handle>, Option<Opener>) -> C + Send + 'static,
    ) -> Arc<Handle> {
        let mut first = self.first();
        let decided = first.take();
        let handle = match &decided {
            // What was accepted first may have sent already, as a server does.
            Some(Decided::Accepted(_)) => Handle::new(Role::Client),
            Some(Decided::Out(held)) => held.handle().clone(),
            Some(Decided::Lost(_)) | None => Handle::new(Role::Server),
        };
        let accepted = Accepted::new(handle.clone(), make);
        let Some(decided) = decided else {
            *first = Some(Decided::Accepted(accepted));
            return handle;
        };
        drop(first);
        let met = match decided {
            Decided::Accepted(other) => in_memory(other, accepted),
            Decided::Out(held) => {
                held.decide(Fate::Accepted(accepted));
                Ok(())
            }
            // Outside any runtime nobody can run it, and that is no mistake of whoever
            // accepts: it hears 1006 as it is dropped.
            Decided::Lost(loss) => {
                loss.warn();
                let _ = alone(accepted, loss);
                Ok(())
            }
        };
        assert!(met.is_ok(), "{NO_RUNTIME}");
        handle
    }

    /// An end goes out on a connection, to be served on the current runtime.
    pub(super) fn go_out(&self, opening: Opening) {
        let mut first = self.first();
        let Some(decided) = first.take() else {
            *first = Some(Decided::Out(Held::hold(opening)));
            return;
        };
        drop(first);
        match decided {
            Decided::Accepted(accepted) => accepted.begin(Source::Opening(opening)),
            Decided::Out(held) => held.decide(Fate::Joined(Box::new(opening))),
            Decided::Lost(loss) => {
                loss.warn();
                let handle = Handle::new(Role::Server);
                handle.close(&loss.close());
                opening.begin(handle, Collector::deaf());
            }
        }
    }

    /// An end is lost.
    pub(super) fn lose(&self, loss: Loss) {
        let mut first = self.first();
        let Some(decided) = first.take() else {
            *first = Some(Decided::Lost(loss));
            return;
        };
        drop(first);
        match decided {
            // Outside any runtime nobody can run it: it hears 1006 as it is dropped.
            Decided::Accepted(accepted) => {
                loss.warn();
                let _ = alone(accepted, loss);
            }
            Decided::Out(held) => {
                loss.warn();
                held.decide(Fate::Lost(loss));
            }
            Decided::Lost(_) => {}
        }
    }

    fn first(&self) -> MutexGuard<'_, Option<Decided>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loss {
    /// Says it in the log, where it is the program's own mistake. For a loss that
    /// somebody hears of: two ends that are lost are nobody's.
    fn warn(self) {
        if let Self::Dropped = self {
            log::warn(
                "an end of a WebSocketPair was dropped, neither accepted nor returned: \
                 the other one is closed with 1011",
            );
        }
    }

    /// What the other end's peer hears.
    pub(super) fn close(self) -> ClosePayload {
        match self {
            Self::Dropped => ClosePayload::cut(CloseCode::INTERNAL_ERROR, ""),
            Self::Unsent => ClosePayload::cut(CloseCode::GOING_AWAY, ""),
        }
    }
}

/// There is no runtime for either end.
struct NoRuntime;

/// Connects two ends that were both accepted in this process.
fn in_memory(first: Accepted, second: Accepted) -> Result<(), NoRuntime> {
    let (near, far) = duplex(PIPE);
    let either = first.runtime.clone().or(second.runtime.clone());
    let either = either.ok_or(NoRuntime)?;
    for (accepted, stream) in [(first, near), (second, far)] {
        let runtime = accepted.runtime.clone();
        begin_on(&runtime.unwrap_or(either.clone()), accepted, stream);
    }
    Ok(())
}

/// Connects an accepted end whose other one was lost to a peer that says so.
fn alone(accepted: Accepted, loss: Loss) -> Result<(), NoRuntime> {
    let peer = match loss {
        Loss::Dropped => {
            let handle = Handle::new(Role::Client);
            handle.close(&loss.close());
            Some(Accepted::new(handle, |_, _| Collector::deaf()))
        }
        Loss::Unsent => None,
    };
    match peer {
        Some(peer) => in_memory(accepted, peer),
        None => {
            let runtime = accepted.runtime.clone().ok_or(NoRuntime)?;
            begin_on(&runtime, accepted, duplex(PIPE).0);
            Ok(())
        }
    }
}

fn begin_on(runtime: &runtime::Handle, accepted: Accepted, stream: DuplexStream) {
    let hub = Hub::on(runtime, Limits::default());
    // Not by entering it: an end may be dropped where that is not possible.
    runtime.spawn(async {
        accepted.begin(Source::Opening(Opening {
            upgraded: Upgraded {
                stream: Stream::Memory(stream),
                read: Vec::new(),
                hub,
                remote_addr: None,
                guard: None,
            },
            protocol: None,
            opener: None,
        }));
    });
}

/// Bytes that may be under way in memory, each way.
pub(super) const PIPE: usize = READ_AHEAD;

const NO_RUNTIME: &str = "both ends of a WebSocketPair were accepted outside a tokio runtime, \
    and there is nothing to run them: accept one of them inside a runtime";
