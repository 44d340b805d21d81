//! A thread's own poller for the sockets of its connections, and the list of those
//! connections: none of them is a task of the runtime, or registered with it.
//! Does not read or write; a connection does, when it is told that it can.
//!
//! The runtime watches one descriptor, the poller's, and has one task for all of them.
//! An idle connection takes 550 bytes so, and 1,090 as a task with a registration of its
//! own; an echo on one of 64 takes a fifth fewer instructions in user space, and a lone one
//! 9% more, as the poller is asked after the runtime's. What comes from other threads
//! wakes this one once, however many connections it is for.
//!
//! Only a thread that drives its runtime alone has a reactor, and only plain TCP is
//! watched by it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mio::{Events, Interest, Registry, Token};
use slab::Slab;
use tokio::io::unix::AsyncFd;
use tokio::task::coop::has_budget_remaining;
use tokio::task::yield_now;

use super::consumer::Consumer;
use super::stream::Ready;
use super::task::Connection;
use super::turn;
use crate::alone::{drop_alone, poll_alone};
use crate::log::Lasting;

/// Runs a connection on this thread: by its reactor if there is one, and the stream is
/// plain TCP; else as a task.
pub(super) fn run<C: Consumer>(mut connection: Connection<C>) {
    if !connection.is_plain() {
        tokio::spawn(connection);
        return;
    }
    let adopted = Reactor::here(|reactor| {
        let place = reactor.places.vacant_entry();
        let token = place.key();
        let registry = &reactor.registry;
        connection.adopt(|socket| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(socket, Token(token), interest)
        });
        place.insert(None);
        Bell::new(token, reactor.calls.clone())
    });
    let Some(bell) = adopted else {
        tokio::spawn(connection);
        return;
    };
    let token = bell.token;
    let running = Running {
        connection: Box::new(connection),
        waker: bell.clone().into(),
        bell: bell.clone(),
    };
    put(token, running);
    bell.wake();
}

/// Starts this thread's, if it can have one.
#[cfg(feature = "testing")]
pub(crate) fn start() {
    Reactor::here(|_| ());
}

/// A connection, whoever listens to it.
pub(super) trait Driven: Future<Output = ()> + Send + Unpin {
    /// What its socket is ready for, besides what it was.
    /// Gives whether that is anything new.
    fn happened(&mut self, ready: Ready) -> bool;
}

/// Has the runtime tell when it is readable.
#[allow(
    deprecated,
    reason = "its successor is unsafe, for descriptors that are not owned: these are"
)]
pub(super) fn watch<T: AsRawFd>(it: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(it, tokio::io::Interest::READABLE)
}

struct Reactor {
    registry: Registry,
    calls: Arc<Calls>,
    /// By token; `None` while it has its turn.
    places: Slab<Option<Running>>,
}

struct Running {
    connection: Box<dyn Driven>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// What wakes one connection.
struct Bell {
    token: usize,
    calls: Arc<Calls>,
    /// It is called, or waits, and need not be called again.
    rung: AtomicBool,
}

/// Who is to be polled, besides those whose sockets say so.
#[derive(Default)]
struct Calls(Mutex<Called>);

#[derive(Default)]
struct Called {
    tokens: VecDeque<usize>,
    /// Of the reactor's task.
    waker: Option<Waker>,
    /// That one has its turn, or will have it without being called.
    awake: bool,
}

/// The reactor's task.
struct Watch {
    poller: AsyncFd<mio::Poll>,
    events: Events,
    calls: Arc<Calls>,
    /// Who is to have a turn, in order.
    waiting: VecDeque<usize>,
    /// Whose places are free once none of this turn's events can be meant for them.
    ended: Vec<usize>,
}

impl Reactor {
    /// Has this thread's, if it can have one.
    fn here<R>(run: impl FnOnce(&mut Self) -> R) -> Option<R> {
        turn::home()?;
        REACTOR.with_borrow_mut(|reactor| {
            if reactor.is_none() {
                match Self::start() {
                    Ok(started) => *reactor = Some(started),
                    Err(error) => TROUBLE.with_borrow_mut(|trouble| {
                        trouble.warn(&format!(
                            "cannot watch sockets past the runtime, as is cheaper: {error}"
                        ));
                    }),
                }
            }
            reactor.as_mut().map(run)
        })
    }

    fn start() -> io::Result<Self> {
        let poller = mio::Poll::new()?;
        let registry = poller.registry().try_clone()?;
        let calls = Arc::new(Calls::default());
        let watch = Watch {
            poller: watch(poller)?,
            events: Events::with_capacity(SHARE),
            calls: calls.clone(),
            waiting: VecDeque::new(),
            ended: Vec::new(),
        };
        tokio::spawn(watch);
        Ok(Self {
            registry,
            calls,
            places: Slab::new(),
        })
    }
}

impl Future for Watch {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.calls.take(cx.waker(), &mut this.waiting);
        // First, as it is not told either once the budget is spent.
        let more = this.look(cx);
        this.serve_ready();
        this.serve_waiting();
        for token in this.ended.drain(..) {
            remove(token);
        }
        if !more && this.waiting.is_empty() && this.calls.rest() {
            return Poll::Pending;
        }
        // Others of the runtime come first, also those that it has yet to ask the system
        // about: a mere wake-up would come before them.
        let _ = pin!(yield_now()).poll(cx);
        Poll::Pending
    }
}

impl Watch {
    /// Serves those whose sockets have become ready: at once if nobody waits, and as long
    /// as there is budget. All of a turn have one, without which nothing of the runtime's
    /// is ready.
    fn serve_ready(&mut self) {
        for event in &self.events {
            let token = event.token().0;
            let Some(mut running) = take(token) else {
                continue;
            };
            if !running.connection.happened(Ready::of(event)) {
                put(token, running);
            } else if self.waiting.is_empty() && has_budget_remaining() {
                running.poll(token, &mut self.ended);
            } else {
                if running.bell.ring() {
                    self.waiting.push_back(token);
                }
                put(token, running);
            }
        }
    }

    /// Serves who has waited longest: a share, and no more than there is budget for.
    fn serve_waiting(&mut self) {
        for _ in 0..self.waiting.len().min(SHARE) {
            if !has_budget_remaining() {
                break;
            }
            let token = self.waiting.pop_front().expect("it was counted");
            if let Some(running) = take(token) {
                running.poll(token, &mut self.ended);
            }
        }
    }

    /// Looks which sockets have become ready; gives whether there may be more.
    fn look(&mut self, cx: &mut Context<'_>) -> bool {
        self.events.clear();
        let Poll::Ready(Ok(mut ready)) = self.poller.poll_read_ready_mut(cx) else {
            return false;
        };
        let polled = ready
            .get_inner_mut()
            .poll(&mut self.events, Some(Duration::ZERO));
        let full = self.events.iter().count() >= SHARE;
        // Interrupted by a signal, it is asked again.
        if full || polled.is_err() {
            return true;
        }
        ready.clear_ready();
        // Asked again, to be called.
        self.poller.poll_read_ready_mut(cx).is_ready()
    }
}

/// The runtime ends: so do its connections, while they are still inside it.
impl Drop for Watch {
    fn drop(&mut self) {
        let reactor = REACTOR.try_with(|reactor| reactor.try_borrow_mut().ok()?.take());
        let Ok(Some(reactor)) = reactor else {
            return;
        };
        for (_, running) in reactor.places {
            drop_alone(running);
        }
    }
}

impl Running {
    fn poll(mut self, token: usize, ended: &mut Vec<usize>) {
        // Before the poll: what comes from now on is another call.
        self.bell.rung.swap(false, Ordering::AcqRel);
        let cx = &mut Context::from_waker(&self.waker);
        match poll_alone(Pin::new(&mut *self.connection), cx) {
            Poll::Pending => put(token, self),
            Poll::Ready(()) => {
                ended.push(token);
                drop_alone(self);
            }
        }
    }
}

impl Bell {
    fn new(token: usize, calls: Arc<Calls>) -> Arc<Self> {
        Arc::new(Self {
            token,
            calls,
            rung: AtomicBool::new(false),
        })
    }

    /// Gives whether it was silent before: then it is to have a turn.
    fn ring(&self) -> bool {
        !self.rung.swap(true, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.ring() {
            self.calls.call(self.token);
        }
    }
}

impl Calls {
    /// Takes them all, behind those that wait; the waker is called for others once they
    /// `rest`.
    fn take(&self, waker: &Waker, waiting: &mut VecDeque<usize>) {
        let mut called = self.lock();
        called.awake = true;
        let known = called.waker.as_ref();
        if known.is_none_or(|known| !known.will_wake(waker)) {
            called.waker = Some(waker.clone());
        }
        if !called.tokens.is_empty() {
            waiting.append(&mut called.tokens);
        }
    }

    fn call(&self, token: usize) {
        let mut called = self.lock();
        called.tokens.push_back(token);
        let slept = !std::mem::replace(&mut called.awake, true);
        let waker = called.waker.as_ref().filter(|_| slept).cloned();
        drop(called);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Is there nobody left? Then the next one wakes.
    fn rest(&self) -> bool {
        let mut called = self.lock();
        called.awake = !called.tokens.is_empty();
        !called.awake
    }

    fn lock(&self) -> MutexGuard<'_, Called> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a connection for its turn. None: it has one, or is gone.
fn take(token: usize) -> Option<Running> {
    REACTOR.with_borrow_mut(|reactor| reactor.as_mut()?.places.get_mut(token)?.take())
}

fn put(token: usize, running: Running) {
    // Dropped outside, should there be no such place.
    let _unplaced = REACTOR.with_borrow_mut(|reactor| {
        match reactor.as_mut().and_then(|r| r.places.get_mut(token)) {
            Some(place) => place.replace(running),
            None => Some(running),
        }
    });
}

fn remove(token: usize) {
    REACTOR.with_borrow_mut(|reactor| {
        if let Some(reactor) = reactor {
            reactor.places.try_remove(token);
        }
    });
}

thread_local! {
    static REACTOR: RefCell<Option<Reactor>> = const { RefCell::new(None) };
    /// With starting it.
    static TROUBLE: RefCell<Lasting> = RefCell::default();
}

/// How many have a turn as they waited, and as their sockets became ready, before others
/// of the runtime have theirs.
const SHARE: usize = 64;
