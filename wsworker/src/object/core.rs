//! What stays of an object while its value is not there: its sockets, what is not
//! durable yet, what it has read.
//! Does not know the object's type or its code; `cell` does.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::class::ObjectOptions;
use super::effects::{After, Effects};
use super::event::{Done, Event};
use super::gate::{self, Found, Gate};
use super::member::{Change, Member, Selection};
use super::objects::Shared;
use super::outgoing::Outgoing;
use super::store::Store;
use crate::error::{Error, Result};
use crate::guard::{guarded, guarded_drop, log};
use crate::protocol::close::{CloseCode, ClosePayload};
use crate::protocol::message::Message;
use crate::socket::WebSocketEnd;
use crate::storage::{Batch, Key, ObjectKey};

/// One object, awake or not.
pub(super) struct Core {
    pub(super) key: ObjectKey,
    pub(super) options: &'static ObjectOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) gate: Gate,
    pub(super) outgoing: Outgoing,
    pub(super) store: Store,
    cache: Mutex<Cache>,
    members: Mutex<Arc<Vec<Arc<Member>>>>,
    /// A message that is answered without the object, and the answer.
    auto_response: Mutex<Option<Arc<(Message, Message)>>>,
    responds: AtomicBool,
    /// Work of `wait_until`.
    background: AtomicUsize,
    /// Calls that wait for their turn.
    calls: AtomicUsize,
    /// When its last event ended: milliseconds of the deployment's clock.
    pub(super) used: AtomicU64,
    /// It waits to be looked at by whoever lets objects hibernate.
    pub(super) listed: AtomicBool,
    /// Its value has seen an event that was undone.
    spoiled: AtomicBool,
    owner: OnceLock<Weak<dyn Owner>>,
}

/// Has the object's value.
pub(super) trait Owner: Send + Sync {
    /// Takes the turn and undoes what a failed commit leaves.
    fn recover(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Gives the socket its consumer, and the member its handle.
    fn accept(self: Arc<Self>, end: WebSocketEnd, member: &Arc<Member>);

    fn hibernate_after(&self) -> Duration;

    /// Drops the value if nothing needs it, or everything if nothing is left.
    /// Gives whether it is to be asked again.
    fn hibernate(self: Arc<Self>) -> bool;
}

/// Values that are durable, as they were read or written last.
#[derive(Default)]
pub(super) struct Cache {
    values: HashMap<Key, Option<Bytes>>,
    bytes: usize,
    /// How many batches were kept: what was read before one may be older than it.
    kept: u64,
    /// Another one has the object's state now: nothing is kept here.
    ended: bool,
}

/// A call's place in the mailbox.
pub(super) struct Place(Arc<Core>);

/// Work of `wait_until`, while it goes on.
struct Background(Arc<Core>);

impl Core {
    pub(super) fn new(
        key: ObjectKey,
        options: &'static ObjectOptions,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            store: Store::new(&shared.storage, &key, options.sql),
            key,
            options,
            shared,
            gate: Gate::default(),
            outgoing: Outgoing::default(),
            cache: Mutex::default(),
            members: Mutex::default(),
            auto_response: Mutex::default(),
            responds: AtomicBool::new(false),
            background: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            used: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            spoiled: AtomicBool::new(false),
            owner: OnceLock::new(),
        }
    }

    pub(super) fn own(&self, owner: Weak<dyn Owner>) {
        let twice = self.owner.set(owner).is_err();
        debug_assert!(!twice, "an object has one owner");
    }

    pub(super) fn owner(&self) -> Option<Arc<dyn Owner>> {
        self.owner.get()?.upgrade()
    }

    pub(super) async fn recover(&self) {
        if let Some(owner) = self.owner() {
            owner.recover().await;
        }
    }

    /// Its value is to be built anew.
    pub(super) fn spoil(&self) {
        self.spoiled.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled.load(Ordering::Acquire)
    }

    pub(super) fn take_spoiled(&self) -> bool {
        self.is_spoiled() && self.spoiled.swap(false, Ordering::AcqRel)
    }

    // Calls.

    /// A place for a call that waits for its turn.
    ///
    /// # Errors
    /// Too many wait.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Place> {
        let before = self.calls.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.clone());
        let limit = self.options.max_calls;
        match before < limit {
            true => Ok(place),
            false => {
                tracing::debug!(object = %self.key, limit, "a call found no place");
                Err(Error::overloaded(limit))
            }
        }
    }

    // Keys and values.

    /// What is known of a key without asking the storage.
    pub(super) fn find(&self, key: &Key) -> Found {
        let written = Event::current(self, |event| {
            event.map_or(Found::Unknown, |event| gate::find(&event.done.batch, key))
        });
        written
            .or_else(|| self.gate.find(key))
            .or_else(|| match self.cache().values.get(key) {
                Some(value) => Found::Value(value.clone()),
                None => Found::Unknown,
            })
    }

    /// All that is written and not durable.
    pub(super) fn unsettled(&self) -> Batch {
        let mut pending = self.gate.pending();
        let own = Event::current(self, |event| event.map(|event| event.done.batch.clone()));
        pending.merge(own.unwrap_or_default());
        pending
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    // Sockets.

    pub(super) fn members(&self) -> Arc<Vec<Arc<Member>>> {
        lock(&self.members).clone()
    }

    pub(super) fn select(&self) -> Selection {
        Selection::of(self.members())
    }

    /// Takes a socket into the running event.
    ///
    /// # Errors
    /// There are too many; it is called outside any event.
    pub(super) fn accept(
        self: &Arc<Self>,
        end: WebSocketEnd,
        tags: Box<[Arc<str>]>,
    ) -> Result<Arc<Member>> {
        let owner = self
            .owner()
            .ok_or_else(|| Error::undone("the object has ended"))?;
        let members = self.members().len();
        if members >= self.options.max_sockets {
            tracing::debug!(object = %self.key, members, "a socket found no place");
            let message = format!("{members} sockets are open here, the limit");
            return Err(Error::rejected(StatusCode::SERVICE_UNAVAILABLE, message));
        }
        let member = Member::new(self, tags);
        Event::inside(self, |event| {
            event.done.effects.changed(member.clone(), Change::Accepted);
            Ok(())
        })?;
        owner.accept(end, &member);
        self.add_member(member.clone());
        if member.is_gone() {
            // Its connection has ended on another thread meanwhile.
            self.remove_member(&member);
        }
        Ok(member)
    }

    fn add_member(&self, member: Arc<Member>) {
        let mut members = lock(&self.members);
        member.place(members.len());
        Arc::make_mut(&mut members).push(member);
    }

    /// Gives whether it was there.
    pub(super) fn remove_member(&self, member: &Member) -> bool {
        let mut members = lock(&self.members);
        let Some(at) = member.take_place() else {
            return false;
        };
        let members = Arc::make_mut(&mut members);
        members.swap_remove(at);
        if let Some(moved) = members.get(at) {
            moved.place(at);
        }
        true
    }

    pub(super) fn has_members(&self) -> bool {
        !lock(&self.members).is_empty()
    }

    /// A change that never happened.
    pub(super) fn take_back(&self, member: &Arc<Member>, change: Change) {
        match change {
            Change::Accepted => {
                member.set_gone();
                self.remove_member(member);
                member.close_now(&ClosePayload::cut(CloseCode::INTERNAL_ERROR, ""));
            }
            Change::Tags(before) => drop(member.set_tags(before)),
            Change::Attachment(before) => drop(member.set_attachment(before)),
        }
    }

    pub(super) fn set_auto_response(&self, pair: Option<(Message, Message)>) {
        self.responds.store(pair.is_some(), Ordering::Release);
        *lock(&self.auto_response) = pair.map(Arc::new);
    }

    pub(super) fn auto_response(&self) -> Option<(Message, Message)> {
        lock(&self.auto_response).as_deref().cloned()
    }

    /// The pair, if it answers a message, that the object need not hear then.
    #[inline]
    pub(super) fn auto_response_to(&self, message: &Message) -> Option<Arc<(Message, Message)>> {
        if !self.responds.load(Ordering::Acquire) {
            return None;
        }
        let pair = lock(&self.auto_response).clone()?;
        (pair.0 == *message).then_some(pair)
    }

    // Work besides events.

    /// Sends outside any event: behind what is pending.
    pub(super) fn outside(
        self: &Arc<Self>,
        send: impl FnOnce(&mut Effects) -> Result<()>,
    ) -> Result<()> {
        let mut done = Done::default();
        send(&mut done.effects)?;
        if Gate::enter(self, &mut done, false).is_err() {
            // What is pending is being undone: nothing of it is to leave before.
            done.effects.release(self);
        }
        self.outgoing.send();
        Ok(())
    }

    pub(super) fn start(self: &Arc<Self>, after: After) {
        let (core, busy) = (self.clone(), self.shared.busy());
        let background = after.counts.then(|| Background::of(self));
        tokio::spawn(async move {
            let mut work = after.work;
            let ended = guarded(|| &mut work).await.flatten();
            guarded_drop(|| drop(work));
            drop(background);
            if let Err(error) = ended {
                log(&format!("background work of {} failed", core.key), &error);
            }
            drop(busy);
        });
    }

    /// Has all left that events which have ended sent?
    pub(super) fn has_let_go(&self) -> bool {
        self.gate.is_settled() && self.outgoing.is_empty()
    }

    /// May what an event sends leave as soon as that has ended, if it does not write?
    #[inline]
    pub(super) fn lets_through(&self) -> bool {
        self.has_let_go() && !self.store.has_sql()
    }

    /// Is nothing under way but, perhaps, an event?
    pub(super) fn is_quiet(&self) -> bool {
        self.gate.is_settled()
            && !self.gate.has_failed()
            && self.background.load(Ordering::Acquire) == 0
            && self.calls.load(Ordering::Acquire) == 0
    }
}

impl Cache {
    /// A batch that is durable now.
    pub(super) fn keep(&mut self, batch: Batch) {
        self.kept += 1;
        if batch.clear {
            self.forget();
        }
        for (key, value) in batch.writes {
            self.insert(key, value);
        }
    }

    /// What `read` needs to know of the time before the storage is asked.
    pub(super) fn age(&self) -> u64 {
        self.kept
    }

    /// A value that the storage gave, asked at that age.
    pub(super) fn read(&mut self, age: u64, key: Key, value: Option<Bytes>) {
        if self.kept == age {
            self.insert(key, value);
        }
    }

    fn insert(&mut self, key: Key, value: Option<Bytes>) {
        let cost = |key: &Key, value: &Option<Bytes>| {
            key.len() + value.as_ref().map_or(0, Bytes::len) + CACHE_ENTRY
        };
        let added = cost(&key, &value);
        if self.bytes + added > MAX_CACHE {
            self.forget();
        }
        if added > MAX_CACHE || self.ended {
            return;
        }
        self.bytes += added;
        match self.values.entry(key) {
            Entry::Occupied(mut entry) => {
                let before = entry.insert(value);
                self.bytes -= cost(entry.key(), &before);
            }
            Entry::Vacant(entry) => drop(entry.insert(value)),
        }
    }

    /// Forgets all, for good.
    pub(super) fn end(&mut self) {
        self.forget();
        self.ended = true;
    }

    pub(super) fn forget(&mut self) {
        self.values = HashMap::new();
        self.bytes = 0;
    }
}

impl Background {
    fn of(core: &Arc<Core>) -> Self {
        core.background.fetch_add(1, Ordering::AcqRel);
        Self(core.clone())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.background.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of keys and values that an awake object keeps of what it read and wrote.
const MAX_CACHE: usize = 256 << 10;
/// What an entry costs besides.
const CACHE_ENTRY: usize = 96;
