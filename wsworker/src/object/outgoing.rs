//! What an object's events have let out, in its order, until it is on its way: events
//! that follow each other closely send together, whoever ran them.
//! Does not know when something may leave; `gate` does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bytes::Bytes;

use super::fanout::Fanout;
use super::member::{Member, Selection};
use crate::protocol::close::ClosePayload;
use crate::protocol::message::Message;

/// One thing that an event sent.
pub(super) enum Sent {
    To(Arc<Member>, Message),
    /// Frames that are encoded for it already.
    Frames(Arc<Member>, Bytes),
    Close(Arc<Member>, ClosePayload),
    Broadcast(Selection, Message),
}

/// What may leave.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Something waits, or is being sent.
    busy: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Whose turn it is to send: that thread sends for all others.
    sending: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    sent: Vec<Sent>,
    bytes: usize,
}

impl Outgoing {
    /// Lets out what one event has sent. It may wait for [`send`](Self::send), and for
    /// what other events let out meanwhile.
    pub(super) fn push(&self, sent: &mut Vec<Sent>) {
        let gathers = sent.iter().any(|sent| matches!(sent, Sent::Broadcast(..)));
        if !gathers && !self.busy.load(Ordering::Acquire) {
            return sent.drain(..).for_each(Sent::leave);
        }
        let bytes = {
            let mut waiting = self.waiting();
            self.busy.store(true, Ordering::Release);
            waiting.bytes += sent.iter().map(Sent::bytes).sum::<usize>();
            waiting.sent.append(sent);
            waiting.bytes
        };
        if bytes >= MAX_GATHERED {
            self.send();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    /// Sends what waits, unless another thread is at it.
    pub(super) fn send(&self) {
        while self.busy.load(Ordering::Acquire) {
            let sending = match self.sending.try_lock() {
                Ok(sending) => sending,
                Err(TryLockError::Poisoned(sending)) => sending.into_inner(),
                Err(TryLockError::WouldBlock) if self.waiting().bytes < MAX_WAITING => return,
                Err(TryLockError::WouldBlock) => lock(&self.sending),
            };
            while let Some(sent) = self.take() {
                leave(sent);
            }
            // Let go before the next look: what comes from now on finds nobody sending.
            drop(sending);
        }
    }

    fn take(&self) -> Option<Vec<Sent>> {
        let mut waiting = self.waiting();
        if waiting.sent.is_empty() {
            self.busy.store(false, Ordering::Release);
            return None;
        }
        Some(std::mem::take(&mut *waiting).sent)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Sent {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::To(_, message) | Self::Broadcast(_, message) => message.len(),
            Self::Frames(_, frames) => frames.len(),
            Self::Close(..) => 0,
        }
    }

    /// One on its own.
    fn leave(self) {
        match self {
            Self::To(member, message) => {
                member.let_go(message.len());
                member.deliver(&message);
            }
            Self::Frames(member, frames) => {
                member.let_go(frames.len());
                member.deliver_frames(&frames);
            }
            Self::Close(member, close) => member.close_now(&close),
            Self::Broadcast(to, message) => Fanout::of(to, message).send(),
        }
    }
}

/// Sends all that, in its order; broadcasts to the same sockets as one.
fn leave(sent: Vec<Sent>) {
    let mut fanout: Option<Fanout> = None;
    for sent in sent {
        let sent = match (sent, &mut fanout) {
            (Sent::Broadcast(to, message), Some(fanout)) => match fanout.add(to, message) {
                Ok(()) => continue,
                Err((to, message)) => Sent::Broadcast(to, message),
            },
            (sent, _) => sent,
        };
        if let Some(before) = fanout.take() {
            before.send();
        }
        match sent {
            Sent::Broadcast(to, message) => fanout = Some(Fanout::of(to, message)),
            other => other.leave(),
        }
    }
    if let Some(last) = fanout {
        last.send();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of messages that wait for more to be sent with.
const MAX_GATHERED: usize = 64 << 10;
/// Bytes that may wait for another thread; then it is waited for.
const MAX_WAITING: usize = 1 << 20;
