//! What a handle learns when its connection begins: it may be there before.
//! Does not decide when that is; `begin` does.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Handle;
use crate::connection::hub::{Hub, Limits, Slow};
use crate::env::Env;
use crate::protocol::close::ClosePayload;

/// What a handle learns when its connection begins.
pub(super) struct Bound {
    hub: Arc<Hub>,
    remote_addr: Option<SocketAddr>,
    /// What most connections have nothing of.
    more: Option<Box<More>>,
}

struct More {
    protocol: Option<Box<str>>,
    /// Around the callbacks, where somebody listens.
    span: Option<tracing::Span>,
}

impl Handle {
    /// The connection is there. Once.
    pub(in crate::connection) fn bind(
        &self,
        hub: Arc<Hub>,
        remote_addr: Option<SocketAddr>,
        protocol: Option<Box<str>>,
    ) {
        let span = tracing::info_span!("connection", id = self.id, remote_addr = ?remote_addr);
        let span = (!span.is_disabled()).then_some(span);
        let has_more = protocol.is_some() || span.is_some();
        let bound = Bound {
            hub,
            remote_addr,
            more: has_more.then(|| Box::new(More { protocol, span })),
        };
        let twice = self.bound.set(bound).is_err();
        debug_assert!(!twice, "a handle has one connection");
    }

    /// None too while there is no connection.
    pub(crate) fn remote_addr(&self) -> Option<SocketAddr> {
        self.bound.get()?.remote_addr
    }

    /// None too while there is no connection.
    pub(crate) fn protocol(&self) -> Option<&str> {
        let more = self.bound.get()?.more.as_ref();
        more?.protocol.as_deref()
    }

    /// The process's while there is no connection.
    pub(crate) fn env(&self) -> &Env {
        match self.bound.get() {
            Some(bound) => &bound.hub.env,
            None => Env::of_process(),
        }
    }

    /// Bytes that may wait to be written: the default while there is no connection.
    #[inline]
    pub(crate) fn max_buffered(&self) -> usize {
        match self.bound.get() {
            Some(bound) => bound.hub.limits.max_buffered,
            None => Limits::default().max_buffered,
        }
    }

    /// What a broadcast does with it while it is full.
    pub(crate) fn slow(&self) -> Slow {
        self.bound
            .get()
            .map_or_else(Slow::default, |b| b.hub.limits.slow)
    }

    #[inline]
    pub(in crate::connection) fn enter_span(&self) -> Option<tracing::span::Entered<'_>> {
        let more = self.bound().more.as_ref();
        more?.span.as_ref().map(tracing::Span::enter)
    }

    #[inline]
    pub(in crate::connection) fn hub(&self) -> &Arc<Hub> {
        &self.bound().hub
    }

    /// The Close of a server that is going away.
    pub(in crate::connection) fn closing(&self) -> Option<&ClosePayload> {
        self.hub().closing()
    }

    #[inline]
    fn bound(&self) -> &Bound {
        self.bound.get().expect("a connection's handle is bound")
    }
}
