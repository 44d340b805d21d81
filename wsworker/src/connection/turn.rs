//! A connection's own turn on its thread, and the thread's buffers that it has
//! meanwhile: bytes are read into its chunk, messages reach the consumer out of it
//! through the inbox, and frames that the consumer sends are held in its batch and
//! leave in one write.
//! Does not know sends from elsewhere; `handle` decides which way a frame goes.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::handle::Handle;
use crate::protocol::message::Message;
use crate::wire::{Batch, Chunk, Part};

/// While it lives, this thread polls the connection of one handle. Nested turns
/// (a callback that polls another connection) get buffers of their own.
pub(super) struct Turn<'a> {
    thread: &'a Thread,
    outer: Option<Box<Thread>>,
    share: Share,
}

/// What a thread has for the turn that it is in.
pub(super) struct Thread {
    /// The address of the handle whose turn it is; 0: nobody's.
    of: Cell<usize>,
    /// Frames to be written.
    batch: RefCell<Batch>,
    /// Bytes that were read.
    chunk: RefCell<Chunk>,
    slot: Cell<Slot>,
    /// The message that is `Found::Whole`.
    whole: Cell<Option<Message>>,
    /// What the turn before left for the next.
    kept: Cell<Option<Box<dyn Any>>>,
    /// The address of the handle that is attended to; 0: of none.
    attended: Cell<usize>,
    /// Frames to be written there.
    passed: RefCell<Batch>,
    /// Turns around the one that it is in.
    outer: Cell<u32>,
    /// It drives one runtime, that nobody else ever drives; none: perhaps not.
    home: Cell<Option<Home>>,
}

/// A thread that alone drives its runtime, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home(NonZeroU32);

/// A connection's share of its thread in one turn, before others have theirs:
/// bounded in messages and, as what handles them may be slow, in time.
struct Share {
    left: usize,
    since: Option<Instant>,
}

/// What a consumer that asks for a message finds.
#[derive(Clone, Copy)]
enum Slot {
    /// No more in this turn.
    Closed,
    /// One is here.
    Full(Found),
    /// One is here, and it is the last in this turn.
    Last(Found),
    /// None yet, and it has not asked.
    Empty,
    /// None yet, and it waits for one.
    Asked,
}

#[derive(Clone, Copy)]
enum Found {
    /// It lies in the chunk, and is copied by whoever takes it: moving a message
    /// that was just made costs more.
    Small {
        text: bool,
        payload: Part,
    },
    Whole,
}

/// Has this thread's buffers, to enter turns with.
#[inline]
pub(super) fn on_this_thread<R>(run: impl FnOnce(&Thread) -> R) -> R {
    THREAD.with(run)
}

impl<'a> Turn<'a> {
    #[inline]
    pub(super) fn enter(thread: &'a Thread, handle: &Handle) -> Self {
        let outer = (thread.of.get() != 0).then(|| Box::new(thread.go_in()));
        thread.of.set(address(handle));
        Self {
            thread,
            outer,
            share: Share::new(),
        }
    }

    /// One item was handled.
    #[inline]
    pub(super) fn spend(&mut self) {
        self.share.spend();
    }

    /// Has it had its share?
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.share.left == 0
    }

    /// The thread's chunk, for nobody's code to run meanwhile.
    #[inline]
    pub(super) fn with_chunk<R>(&self, look: impl FnOnce(&mut Chunk) -> R) -> R {
        look(&mut self.thread.chunk.borrow_mut())
    }

    /// Bytes of the frames that are held.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.thread.batch.borrow().len()
    }

    /// Writes the held frames if they are one slice, by `write`, which must not
    /// run anybody's code; gives whether nothing is left.
    #[inline]
    pub(super) fn write(&self, write: impl FnOnce(&[u8]) -> usize) -> bool {
        let mut batch = self.thread.batch.borrow_mut();
        if let Some(slice) = batch.as_slice() {
            let n = write(slice);
            batch.advance(n);
        }
        batch.is_empty()
    }

    /// Makes the frames that were passed to this connection those of its turn, which
    /// has none yet; gives whether there are any.
    #[inline]
    pub(super) fn hold_passed(&self) -> bool {
        self.thread.batch.swap(&self.thread.passed);
        self.held() > 0
    }

    /// Takes the held frames out, to be written.
    #[inline]
    pub(super) fn take(&self) -> Batch {
        self.thread.batch.take()
    }

    /// Gives the written batch back, for its buffer to be used again.
    #[inline]
    pub(super) fn give(&self, batch: Batch) {
        self.thread.batch.replace(batch);
    }

    /// Lays a message into the inbox that lies in the chunk; after the last one the
    /// messages end.
    #[inline]
    pub(super) fn put_small(&self, text: bool, payload: Part, last: bool) {
        self.put_found(Found::Small { text, payload }, last);
    }

    /// Lays a message into the inbox.
    #[inline]
    pub(super) fn put(&self, message: Message, last: bool) {
        self.thread.whole.set(Some(message));
        self.put_found(Found::Whole, last);
    }

    #[inline]
    fn put_found(&self, found: Found, last: bool) {
        self.thread.slot.set(if last {
            Slot::Last(found)
        } else {
            Slot::Full(found)
        });
    }

    /// Keeps something for the thread's next turn.
    #[inline]
    pub(super) fn keep(&self, it: Box<dyn Any>) {
        self.thread.kept.set(Some(it));
    }

    /// Takes what was kept; none if it is of another kind.
    #[inline]
    pub(super) fn kept<T: 'static>(&self) -> Option<Box<T>> {
        self.thread.kept.take()?.downcast().ok()
    }

    /// Does the consumer wait for the next message, and for nothing else?
    #[inline]
    pub(super) fn asks(&self) -> bool {
        matches!(self.thread.slot.get(), Slot::Asked)
    }

    /// There are no more messages in this turn.
    #[inline]
    pub(super) fn end_messages(&self) {
        self.thread.slot.set(Slot::Closed);
    }
}

impl Drop for Turn<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(outer) = self.outer.take() else {
            self.thread.of.set(0);
            // Written by now, unless a panic cut the turn short.
            if self.held() > 0 {
                self.thread.batch.take();
            }
            return;
        };
        self.thread.replace(*outer);
        self.thread.outer.update(|outer| outer - 1);
    }
}

impl Thread {
    fn new() -> Self {
        Self {
            of: Cell::new(0),
            batch: RefCell::new(Batch::new()),
            chunk: RefCell::default(),
            slot: Cell::new(Slot::Closed),
            whole: Cell::new(None),
            kept: Cell::new(None),
            attended: Cell::new(0),
            passed: RefCell::new(Batch::new()),
            outer: Cell::new(0),
            home: Cell::new(None),
        }
    }

    /// Puts other buffers in place of these, and gives these.
    fn replace(&self, other: Self) -> Self {
        self.of.swap(&other.of);
        self.batch.swap(&other.batch);
        self.chunk.swap(&other.chunk);
        self.slot.swap(&other.slot);
        self.whole.swap(&other.whole);
        self.kept.swap(&other.kept);
        other
    }

    #[cold]
    fn go_in(&self) -> Self {
        self.outer.update(|outer| outer + 1);
        self.replace(Self::new())
    }
}

impl Share {
    #[inline]
    fn new() -> Self {
        Self {
            left: MESSAGES_A_TURN,
            since: None,
        }
    }

    #[inline]
    fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left.is_multiple_of(MESSAGES_A_LOOK) {
            self.look_at_the_clock();
        }
    }

    fn look_at_the_clock(&mut self) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > TIME_A_TURN {
            self.left = 0;
        }
    }
}

/// Where a consumer gets the messages of one turn, on whichever thread that is.
pub(crate) struct Inbox(());

impl Inbox {
    pub(super) const fn new() -> Self {
        Self(())
    }

    /// The next message; `None` if the turn is to end. May wait for one that is
    /// just being read, and for nothing else: the connection goes on meanwhile.
    #[inline]
    pub(crate) fn next(&mut self) -> impl Future<Output = Option<Message>> + Send {
        Next
    }
}

struct Next;

impl Future for Next {
    type Output = Option<Message>;

    #[inline]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Message>> {
        THREAD.with(|thread| {
            let (found, then) = match thread.slot.get() {
                Slot::Full(found) => (found, Slot::Empty),
                Slot::Last(found) => (found, Slot::Closed),
                Slot::Closed => return Poll::Ready(None),
                Slot::Empty | Slot::Asked => {
                    thread.slot.set(Slot::Asked);
                    return Poll::Pending;
                }
            };
            thread.slot.set(then);
            Poll::Ready(match found {
                Found::Small { text, payload } => {
                    Some(Message::copied(text, payload.of(&thread.chunk.borrow())))
                }
                Found::Whole => thread.whole.take(),
            })
        })
    }
}

/// The frames held for this handle, if it has its turn on this thread or is attended to.
#[inline]
pub(super) fn held<R>(handle: &Handle, f: impl FnOnce(Option<&mut Batch>) -> R) -> R {
    THREAD.with(|thread| {
        let address = address(handle);
        if thread.of.get() == address {
            f(Some(&mut thread.batch.borrow_mut()))
        } else if thread.attended.get() == address {
            f(Some(&mut thread.passed.borrow_mut()))
        } else {
            f(None)
        }
    })
}

/// The frames held for this handle, if it has its turn on this thread.
#[cfg(feature = "objects")]
#[inline]
pub(super) fn own<R>(handle: &Handle, f: impl FnOnce(Option<&mut Batch>) -> R) -> R {
    THREAD.with(|thread| {
        if thread.of.get() == address(handle) {
            f(Some(&mut thread.batch.borrow_mut()))
        } else {
            f(None)
        }
    })
}

/// While it lives, what this thread sends on one more connection is held too, for
/// whoever attends to that one: nobody need be woken for it.
pub(super) struct Attended(());

pub(super) fn attend(handle: &Handle) -> Attended {
    THREAD.with(|thread| thread.attended.set(address(handle)));
    Attended(())
}

impl Attended {
    /// Was something sent there that is still held?
    pub(super) fn has_passed(&self) -> bool {
        THREAD.with(|thread| !thread.passed.borrow().is_empty())
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        THREAD.with(|thread| {
            thread.attended.set(0);
            // Written by now, unless a panic came between.
            if !thread.passed.borrow().is_empty() {
                thread.passed.take();
            }
        });
    }
}

/// While it lives, this thread drives one runtime, and no other thread ever does.
pub(crate) struct Settled(());

/// Begins that.
pub(crate) fn settle_here() -> Settled {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let home = NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed)).map(Home);
    THREAD.with(|thread| thread.home.set(home));
    Settled(())
}

impl Drop for Settled {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.home.set(None));
    }
}

/// This thread, if it drives its runtime alone.
pub(super) fn home() -> Option<Home> {
    THREAD.with(|thread| thread.home.get())
}

/// Does this thread drive its runtime alone?
pub(crate) fn is_settled() -> bool {
    home().is_some()
}

/// Is this that thread, and are connections of it other than the one that has its
/// turn at rest, so that nothing of theirs waits to be written here?
#[inline]
pub(super) fn rests(home: Home) -> bool {
    THREAD.with(|thread| thread.home.get() == Some(home) && thread.outer.get() == 0)
}

#[inline]
fn address(handle: &Handle) -> usize {
    std::ptr::from_ref(handle).addr()
}

thread_local! {
    static THREAD: Thread = Thread::new();
}

const MESSAGES_A_TURN: usize = 1024;
const MESSAGES_A_LOOK: usize = 32;
const TIME_A_TURN: Duration = Duration::from_millis(2);
