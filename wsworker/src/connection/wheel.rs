//! A timer wheel: one entry for each connection, which is also the list of a
//! thread's live connections. Knows ticks, not time; wakes nobody itself.
//!
//! An entry is touched only when its deadline comes or moves nearer. A
//! connection whose deadline moved away finds out when it is called, and asks
//! again: a message costs no work here.

/// Names an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) u32);

pub(super) struct Wheel<T> {
    entries: Vec<Entry<T>>,
    /// Heads of lists of entries: one for each tick of a turn.
    slots: Box<[u32; SLOTS]>,
    free: u32,
    len: usize,
    /// The last tick that was seen to.
    now: u32,
}

struct Entry<T> {
    value: Option<T>,
    due: u32,
    slot: u32,
    next: u32,
    previous: u32,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            slots: Box::new([NONE; SLOTS]),
            free: NONE,
            len: 0,
            now: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A new entry, without a deadline yet.
    pub(super) fn insert(&mut self, value: T) -> Key {
        let entry = Entry {
            value: Some(value),
            due: 0,
            slot: NONE,
            next: NONE,
            previous: NONE,
        };
        self.len += 1;
        if self.free == NONE {
            self.entries.push(entry);
            return Key(self.entries.len() as u32 - 1);
        }
        let key = self.free;
        self.free = self.entries[key as usize].next;
        self.entries[key as usize] = entry;
        Key(key)
    }

    /// Sets the entry's deadline, in place of the one that it had.
    pub(super) fn set(&mut self, key: Key, due: u32) {
        self.unlink(key.0);
        // What is due already comes at the next tick.
        let slot = due.max(self.now + 1) % SLOTS as u32;
        let head = std::mem::replace(&mut self.slots[slot as usize], key.0);
        if head != NONE {
            self.entries[head as usize].previous = key.0;
        }
        let entry = &mut self.entries[key.0 as usize];
        entry.due = due;
        entry.slot = slot;
        entry.next = head;
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        self.unlink(key.0);
        let entry = &mut self.entries[key.0 as usize];
        let value = entry.value.take();
        entry.next = self.free;
        self.free = key.0;
        self.len -= 1;
        if self.len == 0 {
            // A crowd that left gives its table back.
            self.entries = Vec::new();
            self.free = NONE;
        }
        value
    }

    /// Goes on to the tick `now` and calls `each` with what became due.
    pub(super) fn advance(&mut self, now: u32, mut each: impl FnMut(&T)) {
        let ticks = now.saturating_sub(self.now).min(SLOTS as u32);
        self.now = now;
        for tick in 0..ticks {
            let mut at = self.slots[((now - tick) % SLOTS as u32) as usize];
            while at != NONE {
                let (due, next) = {
                    let entry = &self.entries[at as usize];
                    (entry.due, entry.next)
                };
                if due <= now {
                    self.unlink(at);
                    each(self.value(at));
                }
                at = next;
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref())
    }

    fn value(&self, at: u32) -> &T {
        let value = self.entries[at as usize].value.as_ref();
        value.expect("a linked entry has a value")
    }

    fn unlink(&mut self, at: u32) {
        let entry = &mut self.entries[at as usize];
        let (slot, next, previous) = (entry.slot, entry.next, entry.previous);
        if slot == NONE {
            return;
        }
        (entry.slot, entry.next, entry.previous) = (NONE, NONE, NONE);
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous == NONE {
            self.slots[slot as usize] = next;
        } else {
            self.entries[previous as usize].next = next;
        }
    }
}

/// No entry, no slot.
const NONE: u32 = u32::MAX;

/// Ticks in one turn of the wheel; later deadlines wait for more turns.
const SLOTS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel<&'static str>, now: u32) -> Vec<&'static str> {
        let mut due = Vec::new();
        wheel.advance(now, |name| due.push(*name));
        due.sort_unstable();
        due
    }

    #[test]
    fn an_entry_comes_once_at_its_tick_however_the_ticks_are_skipped() {
        let mut wheel = Wheel::new();
        for (name, at) in [("a", 3), ("b", 3), ("c", 700), ("d", 5)] {
            let key = wheel.insert(name);
            wheel.set(key, at);
        }
        assert_eq!(due(&mut wheel, 2), [""; 0]);
        assert_eq!(due(&mut wheel, 4), ["a", "b"]);
        assert_eq!(due(&mut wheel, 699), ["d"]);
        assert_eq!(due(&mut wheel, 5000), ["c"]);
        assert_eq!(due(&mut wheel, 9000), [""; 0]);
        assert_eq!(wheel.len(), 4);
    }

    #[test]
    fn a_moved_or_removed_entry_does_not_come_at_its_old_tick() {
        let mut wheel = Wheel::new();
        let a = wheel.insert("a");
        let b = wheel.insert("b");
        wheel.set(a, 3);
        wheel.set(b, 3);
        wheel.set(a, 8);
        assert_eq!(wheel.remove(b), Some("b"));
        assert_eq!(due(&mut wheel, 7), [""; 0]);
        assert_eq!(due(&mut wheel, 8), ["a"]);
        assert_eq!(wheel.iter().count(), 1);
    }

    #[test]
    fn what_is_overdue_comes_at_the_next_tick() {
        let mut wheel = Wheel::new();
        wheel.advance(100, |_: &&str| {});
        let a = wheel.insert("a");
        wheel.set(a, 4);
        assert_eq!(due(&mut wheel, 101), ["a"]);
    }
}
