//! The server around a worker: settings, listening, accepting, limits, draining.
//! Does not speak WebSocket: `connection` does, once `conn` has a 101 on the wire.

mod accept;
mod address;
mod answer;
mod bodies;
mod conn;
mod environment;
mod limits;
mod listening;
#[cfg(feature = "objects")]
mod objects;
mod proxies;
mod run;
mod settings;
mod short;
mod signals;
mod stream;
mod thread;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "testing")]
mod under_test;
mod values;
mod words;

use std::fmt;
use std::time::Duration;

pub use self::address::Address;
#[cfg(fuzzing)]
pub(crate) use self::environment::judge as judge_settings;
pub use self::listening::{Listening, ServerHandle};
pub use self::run::run;
use self::settings::Settings;
#[cfg(feature = "tls")]
pub use self::tls::Tls;
use crate::connection::Slow;
use crate::env::Secret;
use crate::error::Result;
use crate::worker::{Annotated, Entry, Worker};

/// A server for a worker, with its settings.
///
/// A method here overrides the same option of `#[worker(...)]`; [`run`](Self::run)
/// lets the environment override both. What is set wrong is an error of
/// [`listen`](Self::listen), and of what calls it. Times are kept to a twentieth
/// of a second.
///
/// ```no_run
/// # use wsworker::prelude::*;
/// # #[worker]
/// # #[derive(Clone)]
/// # struct Echo;
/// # impl Worker for Echo {
/// #     async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
/// #         ws.send(message)
/// #     }
/// # }
/// # async fn example() -> Result<()> {
/// let server = Server::new(Echo).bind("127.0.0.1:0").max_message(64 * 1024);
/// let listening = server.listen().await?;
/// println!("{:?}", listening.local_addrs());
/// listening.serve().await
/// # }
/// ```
#[must_use = "a server does nothing until `serve`, `listen` or `run` is called"]
pub struct Server {
    entry: Entry,
    settings: Settings,
}

impl Server {
    /// A server for this worker, with the options of its `#[worker]`.
    pub fn new(worker: impl Worker) -> Self {
        let entry = Annotated::entrypoint(worker);
        let settings = Settings::of(entry.options());
        Self { entry, settings }
    }

    /// Listens on this address too. Without any call: on `127.0.0.1:8787`.
    pub fn bind(mut self, address: impl Into<Address>) -> Self {
        self.settings.addresses.push(address.into());
        self
    }

    /// The longest message that is received, in bytes; a longer one closes its
    /// connection with 1009. Default: 1 MiB.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.settings.limits.max_message = bytes;
        self
    }

    /// Bytes that may wait to be sent on a socket before
    /// [`send`](crate::WebSocket::send) refuses more. Default: 1 MiB.
    pub fn max_buffered(mut self, bytes: usize) -> Self {
        self.settings.limits.max_buffered = bytes;
        self
    }

    /// What a broadcast does with a socket that is full. Default:
    /// [`Slow::Close`], with 1013.
    pub fn slow(mut self, slow: Slow) -> Self {
        self.settings.limits.slow = slow;
        self
    }

    /// A peer that sends nothing for so long, not even the answer to a ping
    /// that it gets after half of it, is taken for gone; so is one that for so
    /// long takes nothing of what waits to be sent. Silence does not count while
    /// this side reads nothing. Default: 2 minutes.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.settings.limits.idle_timeout = time;
        self
    }

    /// How long the head of a request may take: from the start of the
    /// connection, so with the handshake of TLS if there is one, or from the
    /// response before it. A first request that is late gets 408; a connection
    /// that waits for its next one, or for a handshake, is just closed.
    ///
    /// A worker that reads the body waits no longer for each 16 KiB of it, or
    /// for the rest; then reading it is an error that answers 408. Default: 10
    /// seconds.
    pub fn handshake_timeout(mut self, time: Duration) -> Self {
        self.settings.handshake_timeout = time;
        self
    }

    /// How much of a request's body a worker is given, in bytes; asking for more
    /// is an error that answers 413. A worker can set another limit for one
    /// request: [`ReadBody::max_body`](crate::ReadBody::max_body). Default: 1 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.settings.max_body = bytes;
        self
    }

    /// How long a frame that has begun may take to be whole, or to bring 64 KiB
    /// more; a slower one closes its connection with 1008. Default: 30 seconds.
    pub fn frame_timeout(mut self, time: Duration) -> Self {
        self.settings.limits.frame_timeout = time;
        self
    }

    /// How long a Close may take to be answered. A peer that is slower is
    /// dropped. A callback that is slower does not hold up the answer to the
    /// peer's: messages that still wait for it are dropped. Default: 5 seconds.
    pub fn close_timeout(mut self, time: Duration) -> Self {
        self.settings.limits.close_timeout = time;
        self
    }

    /// How long [`ServerHandle::shutdown`] waits for connections to end, and for the work that
    /// events of objects have started ([`wait_until`](crate::ObjectContext::wait_until)). 0
    /// waits for none. Default: 10 seconds.
    pub fn drain_timeout(mut self, time: Duration) -> Self {
        self.settings.drain_timeout = time;
        self
    }

    /// The subprotocols that this server speaks, in order of preference: the
    /// first of them that a client offers is chosen. Default: none.
    pub fn protocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.settings.protocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Foreign origins whose pages may open a WebSocket here, as
    /// `https://app.example`; the others get 403. A page of the host asked for
    /// may always, as may whoever sends no `Origin`: browsers always send it.
    /// Default: none.
    pub fn origins<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.settings.origins.listed = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Lets any page on the web open a WebSocket here, with its visitor's
    /// cookies, whatever [`origins`](Self::origins) lists. Only for a server that
    /// does not go by cookies.
    pub fn accept_any_origin(mut self) -> Self {
        self.settings.origins.any = true;
        self
    }

    /// Connections at a time, WebSockets and others; more get 503, or are closed
    /// without a word where 64 are being told so, or where TLS is spoken.
    /// Default: 1,000,000.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections;
        self
    }

    /// Connections at a time from one address, an IPv6 /64 being one; more get
    /// 429 in the same way. Behind a proxy name it in
    /// [`trusted_proxies`](Self::trusted_proxies), or its address is the one that
    /// is counted. Default: no limit.
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.settings.max_connections_per_address = Some(connections);
        self
    }

    /// Proxies that are believed about who the client is, by `Forwarded`
    /// (RFC 7239) or `X-Forwarded-For`, and whether it uses TLS, by `Forwarded`
    /// or `X-Forwarded-Proto`: networks as `10.0.0.0/8`, addresses as
    /// `::1`, or `unix` for whoever connects to a Unix socket. A proxy must
    /// write one header of each kind and take the other out. Default: none.
    pub fn trusted_proxies<I>(mut self, proxies: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.settings.trusted_proxies = proxies.into_iter().map(Into::into).collect();
        self
    }

    /// The largest head of a request, in bytes, all headers together; a larger
    /// one gets 431, as do more than 100 headers. At least 512. Default: 16 KiB.
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.settings.max_header_size = bytes;
        self
    }

    /// Speaks TLS (`https://`, `wss://`) with this certificate on every TCP
    /// address. Unix sockets stay plain: who uses one is on this machine. Needs
    /// the feature `tls`. Default: plain.
    ///
    /// The handshake counts to the [`handshake_timeout`](Self::handshake_timeout)
    /// of the first request, and its connection to the limits. Whoever speaks
    /// plain HTTP there gets a 400 that says so.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings.tls = Some(tls);
        self
    }

    /// A variable for [`Env::var`](crate::Env::var), over the process's of that name.
    pub fn var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.vars.push((name.into(), value.into()));
        self
    }

    /// A secret for [`Env::secret`](crate::Env::secret), over what the process's
    /// environment says under that name. No variable shows it.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let secret = Secret::new(value.into());
        self.settings.secrets.push((name.into(), secret));
        self
    }

    /// Binds every address. Connections wait from then on, until
    /// [`Listening::serve`] accepts them.
    ///
    /// # Errors
    /// A setting that is wrong ([`is_config`](crate::Error::is_config)), or an
    /// address or a file that cannot be had ([`is_io`](crate::Error::is_io)).
    ///
    /// # Panics
    /// Outside a tokio runtime that has I/O and time enabled.
    pub async fn listen(self) -> Result<Listening> {
        Listening::bind(self.entry, self.settings).await
    }

    /// [`listen`](Self::listen), then [`Listening::serve`].
    ///
    /// # Errors
    /// Those of the two.
    pub async fn serve(self) -> Result<()> {
        self.listen().await?.serve().await
    }

    /// Runs the server as the process's own business, as [`run`](crate::run)
    /// does, with what was set here.
    ///
    /// # Errors
    /// As for [`run`](crate::run).
    pub fn run(self) -> Result<()> {
        run::run_server(self.entry, self.settings)
    }
}

/// [`Server::new`].
impl<W: Worker> From<W> for Server {
    fn from(worker: W) -> Self {
        Self::new(worker)
    }
}

/// The settings; of the variables only how many, since they may be secrets.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.settings;
        let mut shown = f.debug_struct("Server");
        shown.field("addresses", &s.addresses);
        shown.field("limits", &s.limits);
        shown.field("vars", &s.vars.len());
        shown.finish_non_exhaustive()
    }
}
