//! A connection's own turn on its thread, and the thread's buffers that it has
//! meanwhile: bytes are read into its chunk, messages reach the consumer out of it
//! through the inbox, and frames that the consumer sends are held in its batch and
//! leave in one write.
//! Does not know sends from elsewhere; `handle` decides which way a frame goes.

use std::cell::{Cell, RefCell};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::handle::Handle;
use crate::protocol::message::Message;
use crate::wire::{Batch, Chunk, Part};

/// While it lives, this thread polls the connection of one handle. Nested turns
/// (a callback that polls another connection) get buffers of their own.
pub(super) struct Turn {
    outer: Option<Current>,
}

struct Current {
    /// The address of the handle whose turn it is; 0: nobody's.
    of: usize,
    /// Frames to be written.
    batch: Batch,
    /// Bytes that were read.
    chunk: Chunk,
    slot: Slot,
    /// The message that is `Found::Whole`.
    whole: Option<Message>,
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

impl Turn {
    #[inline]
    pub(super) fn enter(handle: &Handle) -> Self {
        let of = address(handle);
        CURRENT.with_borrow_mut(|current| {
            if current.of == 0 {
                current.of = of;
                return Self { outer: None };
            }
            let outer = mem::replace(current, Current::of(of));
            Self { outer: Some(outer) }
        })
    }

    /// The thread's chunk, for nobody's code to run meanwhile.
    #[inline]
    pub(super) fn with_chunk<R>(look: impl FnOnce(&mut Chunk) -> R) -> R {
        CURRENT.with_borrow_mut(|current| look(&mut current.chunk))
    }

    /// Is nothing held?
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        CURRENT.with_borrow(|current| current.batch.is_empty())
    }

    /// Writes the held frames if they are one slice, by `write`, which must not
    /// run anybody's code; gives whether nothing is left.
    #[inline]
    pub(super) fn write(&self, write: impl FnOnce(&[u8]) -> usize) -> bool {
        CURRENT.with_borrow_mut(|current| {
            let batch = &mut current.batch;
            if let Some(slice) = batch.as_slice() {
                let n = write(slice);
                batch.advance(n);
            }
            batch.is_empty()
        })
    }

    /// Takes the held frames out, to be written.
    #[inline]
    pub(super) fn take(&self) -> Batch {
        CURRENT.with_borrow_mut(|current| mem::take(&mut current.batch))
    }

    /// Gives the written batch back, for its buffer to be used again.
    #[inline]
    pub(super) fn give(&self, batch: Batch) {
        CURRENT.with_borrow_mut(|current| current.batch = batch);
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| match self.outer.take() {
            Some(outer) => *current = outer,
            None => {
                current.of = 0;
                // Written by now, unless a panic cut the turn short.
                if !current.batch.is_empty() {
                    current.batch = Batch::new();
                }
            }
        });
    }
}

impl Current {
    fn of(of: usize) -> Self {
        Self {
            of,
            batch: Batch::new(),
            chunk: Chunk::default(),
            slot: Slot::Closed,
            whole: None,
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
        CURRENT.with_borrow_mut(|current| {
            let found = match current.slot {
                Slot::Full(found) => {
                    current.slot = Slot::Empty;
                    found
                }
                Slot::Last(found) => {
                    current.slot = Slot::Closed;
                    found
                }
                Slot::Closed => return Poll::Ready(None),
                Slot::Empty | Slot::Asked => {
                    current.slot = Slot::Asked;
                    return Poll::Pending;
                }
            };
            Poll::Ready(match found {
                Found::Small { text, payload } => {
                    Some(Message::copied(text, payload.of(&current.chunk)))
                }
                Found::Whole => current.whole.take(),
            })
        })
    }
}

/// Lays a message into the inbox that lies in the chunk; after the last one the
/// turn ends.
#[inline]
pub(super) fn put_small(text: bool, payload: Part, last: bool) {
    put_found(Found::Small { text, payload }, last);
}

/// Lays a message into the inbox.
#[inline]
pub(super) fn put(message: Message, last: bool) {
    CURRENT.with_borrow_mut(|current| current.whole = Some(message));
    put_found(Found::Whole, last);
}

#[inline]
fn put_found(found: Found, last: bool) {
    CURRENT.with_borrow_mut(|current| {
        current.slot = if last {
            Slot::Last(found)
        } else {
            Slot::Full(found)
        };
    });
}

/// Does the consumer wait for the next message, and for nothing else?
#[inline]
pub(super) fn asks() -> bool {
    CURRENT.with_borrow(|current| matches!(current.slot, Slot::Asked))
}

/// There are no more messages in this turn.
#[inline]
pub(super) fn end_messages() {
    CURRENT.with_borrow_mut(|current| current.slot = Slot::Closed);
}

/// The frames held in this handle's turn, if it has its turn on this thread.
#[inline]
pub(super) fn held<R>(handle: &Handle, f: impl FnOnce(Option<&mut Batch>) -> R) -> R {
    CURRENT.with_borrow_mut(|current| {
        let own = current.of == address(handle);
        f(own.then_some(&mut current.batch))
    })
}

/// While it lives, this thread's poll looks at the queue of one more handle before
/// it ends, so that nobody need be woken for it.
pub(super) struct Attended {
    before: usize,
}

pub(super) fn attend(handle: &Handle) -> Attended {
    Attended {
        before: ATTENDED.replace(address(handle)),
    }
}

impl Drop for Attended {
    fn drop(&mut self) {
        ATTENDED.set(self.before);
    }
}

pub(super) fn is_attended(handle: &Handle) -> bool {
    ATTENDED.get() == address(handle)
}

#[inline]
fn address(handle: &Handle) -> usize {
    std::ptr::from_ref(handle).addr()
}

thread_local! {
    static CURRENT: RefCell<Current> = RefCell::new(Current::of(0));
    static ATTENDED: Cell<usize> = const { Cell::new(0) };
}
