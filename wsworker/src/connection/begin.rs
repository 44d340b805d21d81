//! How a connection comes to run: a stream, what was agreed on when it opened,
//! and a consumer, brought together as a task.
//! Does not open streams or know what the consumers are.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::runtime;

use super::consumer::Consumer;
use super::handle::Handle;
use super::hub::Hub;
use super::mailbox::Collector;
#[cfg(unix)]
use super::reactor;
use super::stream::Stream;
use super::task::Connection;

/// What the opening handshake leaves for the connection.
pub(crate) struct Upgraded {
    pub(crate) stream: Stream,
    /// Bytes that came after the handshake.
    pub(crate) read: Vec<u8>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) remote_addr: Option<SocketAddr>,
    /// Dropped when the connection ends: it counts the server's connections.
    pub(crate) guard: Option<Box<dyn Send + Sync>>,
}

/// A connection that has just opened, with what the handshake agreed on.
pub(crate) struct Opening {
    pub(crate) upgraded: Upgraded,
    pub(crate) protocol: Option<Box<str>>,
    pub(crate) opener: Option<Opener>,
}

/// The request that opened a connection. This layer does not know requests: it
/// keeps one for whoever gave it, and asks nothing of it.
pub(crate) type Opener = Arc<dyn Any + Send + Sync>;

impl Opening {
    /// Runs the connection, on the current runtime.
    pub(crate) fn begin<C: Consumer>(self, handle: Arc<Handle>, consumer: C) {
        drive(self.connect(handle, consumer));
    }

    /// The connection, to be driven on the current runtime.
    pub(super) fn connect<C: Consumer>(self, handle: Arc<Handle>, consumer: C) -> Connection<C> {
        let upgraded = self.upgraded;
        handle.bind(upgraded.hub, upgraded.remote_addr, self.protocol);
        let (stream, guard) = (upgraded.stream, upgraded.guard);
        Connection::new(stream, &upgraded.read, handle, consumer, guard)
    }
}

/// Runs a connection, on the current runtime.
fn drive<C: Consumer>(connection: Connection<C>) {
    #[cfg(unix)]
    reactor::run(connection);
    #[cfg(not(unix))]
    tokio::spawn(connection);
}

/// A consumer that was chosen before its connection was there. Dropped without
/// it, its sockets are closed.
pub(super) struct Accepted {
    /// Where it was chosen; none outside of any.
    pub(super) runtime: Option<runtime::Handle>,
    begin: Box<dyn FnOnce(Source) + Send>,
}

/// Where a consumer's events come from.
pub(super) enum Source {
    Opening(Opening),
    /// A connection that was held until it had a consumer.
    Held(Connection<Collector>, Option<Opener>),
}

impl Accepted {
    /// `make` gives the consumer, once it is known who opened the connection.
    pub(super) fn new<C: Consumer>(
        handle: Arc<Handle>,
        make: impl FnOnce(&Arc<Handle>, Option<Opener>) -> C + Send + 'static,
    ) -> Self {
        let unbegun = Unbegun(Some(handle));
        Self {
            runtime: runtime::Handle::try_current().ok(),
            begin: Box::new(move |source| {
                let handle = unbegun.begun();
                match source {
                    Source::Opening(mut opening) => {
                        let consumer = make(&handle, opening.opener.take());
                        opening.begin(handle, consumer);
                    }
                    Source::Held(connection, opener) => {
                        let consumer = make(&handle, opener);
                        drive(connection.hand_over(consumer));
                    }
                }
            }),
        }
    }

    /// Runs the connection, on the current runtime.
    pub(super) fn begin(self, source: Source) {
        (self.begin)(source);
    }
}

/// The handle of a connection that may never come.
struct Unbegun(Option<Arc<Handle>>);

impl Unbegun {
    fn begun(mut self) -> Arc<Handle> {
        self.0.take().expect("a connection begins once")
    }
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.end();
        }
    }
}
