//! How many connections there are: in all, on each thread, from each address.
//! Does not refuse anyone itself; `accept` and `conn` do.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of a whole server.
pub(super) struct Counts {
    open: AtomicUsize,
    max: usize,
    addresses: Option<Addresses>,
    /// Rung when the last connection is gone.
    emptied: Notify,
}

/// The connections of one thread, so that the emptiest gets the next.
pub(super) struct Load {
    open: AtomicUsize,
    counts: Arc<Counts>,
}

struct Addresses {
    max: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Counts {
    pub(super) fn new(max: usize, max_per_address: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            max,
            addresses: max_per_address.map(|max| Addresses {
                max,
                open: Mutex::default(),
            }),
            emptied: Notify::new(),
        })
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Resolves when none is open.
    ///
    /// Cancel safe.
    pub(super) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.open() == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Counts one more for its address. `Err` if it has as many as it may;
    /// `Ok(None)` if nobody counts.
    pub(super) fn admit_address(
        self: &Arc<Self>,
        ip: IpAddr,
    ) -> Result<Option<AddressPermit>, TooMany> {
        let Some(addresses) = &self.addresses else {
            return Ok(None);
        };
        let key = network(ip);
        let mut held = addresses.lock();
        let open = held.entry(key).or_insert(0);
        // `max` is at least 1, so an entry that was just made stays.
        if *open >= addresses.max {
            return Err(TooMany);
        }
        *open += 1;
        drop(held);
        Ok(Some(AddressPermit {
            counts: self.clone(),
            key,
        }))
    }
}

/// An address has as many connections as it may.
pub(super) struct TooMany;

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    pub(super) fn new(counts: Arc<Counts>) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            counts,
        })
    }

    /// How many connections the thread has.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts one more; `None` if the server has as many as it may.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let counts = &self.counts;
        let room = |open| (open < counts.max).then_some(open + 1);
        let counted = counts
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, room);
        counted.ok()?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Permit {
            load: self.clone(),
            address: None,
        })
    }
}

/// One connection, counted until this is dropped.
pub(super) struct Permit {
    load: Arc<Load>,
    // Boxed: most servers do not count by address, and a permit lives as long
    // as its connection.
    address: Option<Box<AddressPermit>>,
}

impl Permit {
    /// Counts the connection for an address too, over the one before.
    pub(super) fn hold(&mut self, address: Option<AddressPermit>) {
        if let Some(address) = address {
            self.address = Some(Box::new(address));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.load.open.fetch_sub(1, Ordering::Relaxed);
        let counts = &self.load.counts;
        if counts.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            counts.emptied.notify_waiters();
        }
    }
}

/// One connection of an address, counted until this is dropped.
pub(super) struct AddressPermit {
    counts: Arc<Counts>,
    key: IpAddr,
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let Some(addresses) = &self.counts.addresses else {
            return;
        };
        // An address that has none takes no room.
        if let Entry::Occupied(mut entry) = addresses.lock().entry(self.key) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// What is counted as one address. Whoever has IPv6 has a /64 at least, so one
/// of its addresses says nothing.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_until_their_permit_is_dropped() {
        let counts = Counts::new(2, None);
        let (a, b) = (Load::new(counts.clone()), Load::new(counts.clone()));
        let first = a.admit().unwrap();
        let second = b.admit().unwrap();
        assert!(a.admit().is_none());
        assert_eq!((counts.open(), a.open(), b.open()), (2, 1, 1));
        drop(first);
        assert_eq!((counts.open(), a.open()), (1, 0));
        assert!(a.admit().is_some());
        drop(second);
        assert_eq!(counts.open(), 0);
    }

    #[test]
    fn an_address_has_its_own_limit() {
        let counts = Counts::new(9, Some(1));
        let admit = |ip: &str| counts.admit_address(ip.parse().unwrap());
        let held = admit("192.0.2.1").ok().flatten().unwrap();
        assert!(admit("192.0.2.1").is_err());
        assert!(admit("::ffff:192.0.2.1").is_err());
        assert!(admit("192.0.2.2").is_ok());
        drop(held);
        assert!(admit("192.0.2.1").is_ok());
        let addresses = counts.addresses.as_ref().unwrap();
        assert!(
            addresses.lock().is_empty(),
            "an address without any is forgotten"
        );
    }

    #[test]
    fn ipv6_is_counted_by_its_network() {
        let counts = Counts::new(9, Some(1));
        let admit = |ip: &str| counts.admit_address(ip.parse().unwrap());
        let _held = admit("2001:db8::1").ok().unwrap();
        assert!(admit("2001:db8::ffff").is_err());
        assert!(admit("2001:db8:0:1::1").is_ok());
    }
}
