//! The task that drives one connection: one `poll`, no lock and no allocation on
//! a message's way, one write for all that a read brought.
//!
//! What every poll goes through is inlined whatever the compiler thinks of it: in
//! the price of a lone small message the calls can be seen.
//!
//! A poll lets a suspended callback go on, hands over what was read ahead,
//! writes, reads, and parks. What an awake connection needs is boxed and freed
//! when it has nothing under way, so that an idle one is a socket and this task.

mod deliver;
mod hold;
mod read;
mod time;
mod write;

use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::yield_now;

pub(super) use self::deliver::charge;
pub(super) use self::read::READ_AHEAD;
use self::read::Step;
use super::consumer::{Consumer, Event, Suspended, Turned};
use super::handle::{Handle, State};
use super::life::{Life, Phase};
#[cfg(unix)]
use super::reactor::Driven;
#[cfg(unix)]
use super::stream::Ready;
use super::stream::Stream;
use super::turn::{self, Turn};
use crate::error::Error;
use crate::protocol::message::Message;
use crate::wire::{Batch, Chunk, Reader, Role};

/// One connection: a future that ends with it.
pub(crate) struct Connection<C: Consumer> {
    handle: Entered,
    // Reading.
    stream: Option<Stream>,
    reader: Reader,
    // The consumer.
    consumer: Listening<C>,
    life: Life,
    // Whatever is under way; none while idle.
    awake: Option<Box<Awake>>,
    // Time, in ticks.
    armed: u32,
    last_byte: u32,
    pinged: bool,
    /// We stopped reading, so the peer's silence does not count.
    stopped: bool,
    begun: bool,
    guard: Option<Box<dyn Send + Sync>>,
}

/// A connection's handle, in its hub's list for as long as this lives.
struct Entered(Arc<Handle>);

enum Listening<C> {
    Idle(C),
    /// In a turn that waits for the next message of the same read.
    Hearing,
    Running(Suspended<Turned<C>>, Outcome),
    /// Has heard the last event.
    Gone,
}

/// What the end of a turn means for the connection.
#[derive(Clone, Copy)]
enum Outcome {
    /// A failure ends it, unless the consumer outlives it.
    Counts,
    /// A failure is only logged.
    IsLogged,
    /// As before, and it was the last turn.
    IsLast,
}

/// What is under way on a connection that is not idle.
#[derive(Default)]
struct Awake {
    /// Bytes read and not taken yet.
    unparsed: Chunk,
    /// There may be whole frames in `unparsed`, not just the start of one.
    stashed: bool,
    /// Messages that came while the consumer was busy.
    ahead: VecDeque<Message>,
    ahead_bytes: usize,
    /// The consumer's own failure, which it hears next.
    failure: Option<Error>,
    /// Frames on their way out, before those in the queue.
    writing: Option<Batch>,
    /// When a write last went forward.
    wrote: u32,
    /// When the frame under way began, or last brought `FRAME_PROGRESS` bytes.
    frame_since: Option<u32>,
    frame_bytes: usize,
}

impl<C: Consumer> Connection<C> {
    /// A connection over `stream`, of which `read` has come already. Its handle
    /// is bound; this is inside the runtime that will drive it.
    pub(super) fn new(
        stream: Stream,
        read: &[u8],
        handle: Arc<Handle>,
        consumer: C,
        guard: Option<Box<dyn Send + Sync>>,
    ) -> Self {
        let handle = Entered::new(handle);
        if C::TAKES_LEAVE {
            handle.set_takes_leave();
        }
        let mut connection = Self {
            last_byte: handle.hub().now(),
            reader: Reader::new(handle.role() == Role::Server),
            handle,
            stream: Some(stream),
            consumer: Listening::Idle(consumer),
            life: Life::new(),
            awake: None,
            armed: u32::MAX,
            pinged: false,
            stopped: false,
            begun: false,
            guard,
        };
        if !read.is_empty() {
            let awake = connection.awake();
            awake.unparsed = Chunk::from(read);
            awake.stashed = true;
        }
        connection
    }

    fn run(&mut self, turn: &mut Turn<'_>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun {
            self.begin(cx);
        }
        if self.handle.hub().is_stopped() && self.stream.is_some() {
            self.lost(io::ErrorKind::TimedOut.into());
        }
        self.keep_time();
        self.resume(cx);
        if C::TAKES_LEAVE {
            self.leave();
        }
        for round in 0..READS_A_POLL {
            let starved = self.pump(turn, cx);
            let phase = self.life.phase();
            self.flush(turn, cx);
            if self.stream.is_none() && matches!(self.consumer, Listening::Gone) {
                return Poll::Ready(());
            }
            if turn.is_spent() {
                break;
            }
            let step = self.fill(round == 0, turn, cx);
            if turn.is_spent() {
                break;
            }
            let roomier = starved && self.has_room();
            if step == Step::Wait && self.life.phase() == phase && !roomier {
                self.park();
                return Poll::Pending;
            }
        }
        // Its share is used up: others come first, those too that the runtime has
        // yet to ask the system about. A mere wake-up would come before them.
        self.flush(turn, cx);
        self.park();
        let _ = pin!(yield_now()).poll(cx);
        Poll::Pending
    }

    #[cold]
    fn begin(&mut self, cx: &mut Context<'_>) {
        self.begun = true;
        self.handle.set_waker(cx.waker().clone());
        if C::SHARES_STREAM {
            self.share_stream();
        }
        if matches!(self.consumer, Listening::Idle(_)) {
            self.deliver(Event::Open, Outcome::Counts, cx);
        }
        if let Some(closing) = self.handle.closing().filter(|_| !C::TAKES_LEAVE) {
            self.handle.close(closing);
        }
    }

    /// When the server goes away: once the consumer is free, it says so.
    fn leave(&mut self) {
        if let Some(closing) = self.handle.closing()
            && self.handle.state() == State::Open
            && let Listening::Idle(consumer) = &self.consumer
        {
            consumer.leave(closing);
        }
    }

    /// Has something come up that its own poll saw to no more: frames from
    /// another's turn, or room for the next message?
    pub(super) fn is_behind(&self) -> bool {
        let blocked = self.awake.as_ref().is_some_and(|a| a.writing.is_some());
        let unwritten = !blocked && !self.handle.is_drained();
        let reads = matches!(self.life.phase(), Phase::Open | Phase::Closing);
        unwritten || (reads && self.stopped && self.may_take())
    }

    /// Writes what another's turn has sent; gives whether that is all there is to do.
    pub(super) fn write_out(&mut self, cx: &mut Context<'_>) -> bool {
        let calm = self.life.phase() == Phase::Open && !self.stopped;
        turn::on_this_thread(|thread| {
            let turn = Turn::enter(thread, &self.handle);
            if turn.hold_passed() || calm {
                self.flush(&turn, cx);
            }
        });
        self.park();
        calm && self.life.phase() == Phase::Open
    }

    fn awake(&mut self) -> &mut Awake {
        self.awake.get_or_insert_default()
    }
}

impl Awake {
    fn is_idle(&self) -> bool {
        self.unparsed.is_empty()
            && self.ahead.is_empty()
            && self.failure.is_none()
            && self.writing.is_none()
            && self.frame_since.is_none()
    }
}

impl<C: Consumer> Future for Connection<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        turn::on_this_thread(|thread| {
            let mut turn = Turn::enter(thread, &self.handle);
            self.run(&mut turn, cx)
        })
    }
}

#[cfg(unix)]
impl<C: Consumer> Driven for Connection<C> {
    fn happened(&mut self, ready: Ready) -> bool {
        match &mut self.stream {
            Some(Stream::Polled(stream)) => stream.happened(ready),
            _ => false,
        }
    }
}

// Nothing is pinned in place: turns live in boxes of their own.
impl<C: Consumer> Unpin for Connection<C> {}

impl Entered {
    fn new(handle: Arc<Handle>) -> Self {
        handle.set_timer(handle.hub().insert(handle.clone()));
        Self(handle)
    }
}

impl Deref for Entered {
    type Target = Handle;

    #[inline]
    fn deref(&self) -> &Handle {
        &self.0
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.end();
        self.hub().remove(self.timer());
    }
}

/// Others have their turn after so many, also where each brings little.
const READS_A_POLL: usize = 8;
