//! The sink of a connection's own turn: frames that its callbacks send are held
//! in the thread's batch and leave in one write at the turn's end.
//! Does not know sends from elsewhere; `handle` decides which way a frame goes.

use std::cell::RefCell;
use std::mem;

use super::handle::Handle;
use crate::wire::Batch;

/// While it lives, this thread polls the connection of one handle. Nested turns
/// (a callback that polls another connection) get a batch of their own.
pub(super) struct Turn {
    outer: Option<Current>,
}

struct Current {
    /// The address of the handle whose turn it is; 0: nobody's.
    of: usize,
    batch: Batch,
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
            let batch = Batch::new();
            let outer = mem::replace(current, Current { of, batch });
            Self { outer: Some(outer) }
        })
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

/// The frames held in this handle's turn, if it has its turn on this thread.
#[inline]
pub(super) fn held<R>(handle: &Handle, f: impl FnOnce(Option<&mut Batch>) -> R) -> R {
    CURRENT.with_borrow_mut(|current| {
        let own = current.of == address(handle);
        f(own.then_some(&mut current.batch))
    })
}

#[inline]
fn address(handle: &Handle) -> usize {
    std::ptr::from_ref(handle).addr()
}

thread_local! {
    static CURRENT: RefCell<Current> = const {
        RefCell::new(Current { of: 0, batch: Batch::new() })
    };
}
