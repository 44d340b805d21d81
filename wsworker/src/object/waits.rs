//! Which objects wait for which, so that a call that would close a cycle fails at
//! once instead of at its deadline.
//! Knows the calls of this process alone, and only those made inside events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::storage::ObjectKey;

/// Every call under way from one object's event to another object.
#[derive(Clone, Default)]
pub(super) struct Waits(Arc<Mutex<HashMap<ObjectKey, Vec<ObjectKey>>>>);

/// A call under way; ends with this, or before.
pub(super) struct Waiting {
    waits: Waits,
    from: ObjectKey,
    to: ObjectKey,
    ended: AtomicBool,
}

impl Waits {
    /// An event of `from` is going to wait for `to`.
    ///
    /// # Errors
    /// `to` waits for `from` already, perhaps through others; the cycle is shown.
    pub(super) fn enter(&self, from: &ObjectKey, to: &ObjectKey) -> Result<Waiting> {
        let mut edges = self.edges();
        if let Some(path) = path(&edges, to, from) {
            let cycle: Vec<_> = [from].into_iter().chain(path).collect();
            return Err(Error::deadlock(&shown(&cycle)));
        }
        edges.entry(from.clone()).or_default().push(to.clone());
        Ok(Waiting {
            waits: self.clone(),
            from: from.clone(),
            to: to.clone(),
            ended: AtomicBool::new(false),
        })
    }

    fn edges(&self) -> MutexGuard<'_, HashMap<ObjectKey, Vec<ObjectKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// There is nothing to wait for any more, whenever the caller looks.
    pub(super) fn end(&self) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut edges = self.waits.edges();
        let Some(of) = edges.get_mut(&self.from) else {
            return;
        };
        if let Some(at) = of.iter().position(|to| *to == self.to) {
            of.swap_remove(at);
        }
        if of.is_empty() {
            edges.remove(&self.from);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}

/// The cycle, each object by its class and the start of its id.
fn shown(cycle: &[&ObjectKey]) -> String {
    let short = |key: &&ObjectKey| {
        let text = key.to_string();
        text[..text.len() - 56].to_owned()
    };
    cycle.iter().map(short).collect::<Vec<_>>().join(" → ")
}

/// The way from one object to another along what waits for what, both included.
fn path<'a>(
    edges: &'a HashMap<ObjectKey, Vec<ObjectKey>>,
    from: &'a ObjectKey,
    to: &'a ObjectKey,
) -> Option<Vec<&'a ObjectKey>> {
    // Each object that was reached, and from where.
    let mut reached: HashMap<&ObjectKey, Option<&ObjectKey>> = HashMap::from([(from, None)]);
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        if at == to {
            let mut way = vec![at];
            while let Some(Some(before)) = reached.get(way[way.len() - 1]) {
                way.push(*before);
            }
            way.reverse();
            return Some(way);
        }
        for waited in edges.get(at).into_iter().flatten() {
            if !reached.contains_key(waited) {
                reached.insert(waited, Some(at));
                next.push(waited);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: u8) -> ObjectKey {
        ObjectKey {
            class: "Room".into(),
            id: [name; 32],
        }
    }

    #[test]
    fn a_cycle_is_found_and_shown() {
        let waits = Waits::default();
        let [a, b, c] = [1, 2, 3].map(key);
        let first = waits.enter(&a, &b).unwrap();
        let _second = waits.enter(&b, &c).unwrap();
        let error = waits.enter(&c, &a).err().unwrap().to_string();
        let short = |n: u8| format!("Room:{}", format!("{n:02x}").repeat(4));
        let cycle = format!("{} → {} → {} → {}", short(3), short(1), short(2), short(3));
        assert!(error.contains(&cycle), "{error}");
        drop(first);
        let _third = waits.enter(&c, &a).unwrap();
        assert!(waits.enter(&a, &b).is_err());
    }

    #[test]
    fn an_object_that_calls_itself_is_a_cycle() {
        let waits = Waits::default();
        assert!(waits.enter(&key(1), &key(1)).is_err());
        assert!(waits.edges().is_empty());
    }

    #[test]
    fn many_may_wait_for_one() {
        let waits = Waits::default();
        let calls = [2, 3, 4].map(|n| waits.enter(&key(n), &key(1)).unwrap());
        let again = waits.enter(&key(2), &key(1)).unwrap();
        drop((calls, again));
        assert!(waits.edges().is_empty());
    }
}
