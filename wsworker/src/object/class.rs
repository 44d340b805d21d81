//! What users implement, what the attribute says of it, and all objects of one type.
//! Does not run events; `cell` does.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::alarm::{self, AlarmInfo};
use super::cell::Cell;
use super::context::ObjectContext;
use super::core::{Core, Owner};
use super::member::Member;
use super::objects::Shared;
use super::stub::Stub;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::guard::log;
use crate::http::{Request, Response};
use crate::protocol::close::CloseEvent;
use crate::protocol::message::Message;
use crate::socket::WebSocket;
use crate::storage::{Alarm, ObjectKey};

/// A Durable Object: one live instance for each name, with its own storage, that
/// handles one event at a time. Put
/// [`#[durable_object]`](macro@crate::durable_object) on the type.
///
/// **An event is a transaction.** What a method writes is committed when it has
/// returned `Ok`, and what it sent leaves when the commit is durable. If it fails,
/// panics or takes longer than its deadline (30 s), none of it happened, the value is
/// dropped, and the next event builds it again with [`new`](Self::new).
///
/// So an error resets the object's memory: answer bad input with `send` or
/// `close_with` and `Ok`, not with `?`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a Durable Object",
    label = "this needs an `impl DurableObject for {Self}`, and `#[durable_object]` on its type",
    note = "an object implements at least `async fn new(ctx: ObjectContext, env: Env) -> Result<Self>`"
)]
pub trait DurableObject: Class + Send + 'static {
    /// Builds the value: at its first event, and at the first one after it
    /// hibernated or failed. Part of that event.
    fn new(ctx: ObjectContext, env: Env) -> impl Future<Output = Result<Self>> + Send;

    /// Answers a request, that [`Stub::fetch`] brought. By default every request for
    /// a WebSocket is accepted, and anything else is told what is expected.
    ///
    /// The response leaves when what the event wrote is durable; its body, if it
    /// streams, after that.
    fn fetch(&mut self, req: Request) -> impl Future<Output = Result<Response>> + Send {
        async move { Ok(req.upgrade()?.accept()) }
    }

    /// A socket of this object is open. `req` is the request that was upgraded; it
    /// has no body. An event of its own, after the one that accepted the socket.
    fn on_open(
        &mut self,
        ws: &WebSocket,
        req: &Request,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (ws, req);
        async { Ok(()) }
    }

    /// A message came. Those of one socket come in order.
    ///
    /// By default it fails, which closes the socket with 1011.
    fn on_message(
        &mut self,
        ws: &WebSocket,
        message: Message,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (ws, message);
        async {
            Err(Error::new(
                "a message came, and the object has no on_message",
            ))
        }
    }

    /// A socket is closed; it is in no list any more, and its tags and attachment can
    /// still be read. It cannot fail: what goes wrong here is for it to log.
    fn on_close(&mut self, ws: &WebSocket, close: CloseEvent) -> impl Future<Output = ()> + Send {
        let _ = (ws, close);
        async {}
    }

    /// An event of this socket failed and is undone, the peer broke the protocol, or
    /// the connection failed. By default it is logged. `on_close` follows, unless
    /// `#[durable_object(failed = "keep")]` has the socket go on after its failed event.
    fn on_error(&mut self, ws: &WebSocket, error: &Error) -> impl Future<Output = ()> + Send {
        Member::log_error(ws, error);
        async {}
    }

    /// The time that was set with [`set_alarm`](super::ObjectStorage::set_alarm) has
    /// come. At least once: it is tried again if it fails.
    ///
    /// By default it fails.
    fn alarm(&mut self, info: AlarmInfo) -> impl Future<Output = Result<()>> + Send {
        let _ = info;
        async { Err(Error::new("an alarm came, and the object has no alarm")) }
    }
}

/// What the attribute says of an object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` implements a Durable Object but has no `#[durable_object]` attribute",
    label = "put `#[durable_object]` on the definition of `{Self}`"
)]
pub trait Class: Sized {
    /// The class's stable name: ids of names, and what is stored, go by it.
    const NAME: &'static str;

    /// The attribute's options.
    const OPTIONS: ObjectOptions;

    /// What calls the object's methods from outside.
    type Stub: From<Stub<Self>>;
}

/// The attribute's options.
#[derive(Clone, Copy, Debug)]
pub struct ObjectOptions {
    /// How long it stays in memory after its last event. Default: 10 seconds.
    pub hibernate_after: Duration,
    /// How long one event may take. Default: 30 seconds.
    pub event_timeout: Duration,
    /// Does it keep its state in a database of its own, with SQL? Default: no.
    pub sql: bool,
    /// Does a socket whose event failed stay open? Default: no, it is closed with 1011.
    pub keeps_failed: bool,
    /// Sockets of one object. Default: 32,768.
    pub max_sockets: usize,
    /// Tags of one socket. Default: 10.
    pub max_tags: usize,
    /// Bytes of one tag. Default: 256.
    pub max_tag: usize,
    /// Bytes of what is attached to one socket. Default: 16 KiB.
    pub max_attachment: usize,
    /// Bytes of one key. Default: 2 KiB.
    pub max_key: usize,
    /// Bytes of one value. Default: 2 MiB.
    pub max_value: usize,
    /// Calls that may wait for one object. Default: 1,024.
    pub max_calls: usize,
    /// Bytes that one event may have sent: over this, it cannot send more.
    /// Default: 64 MiB.
    pub max_held: usize,
}

impl ObjectOptions {
    /// What counts if nothing is said.
    pub const DEFAULT: Self = Self {
        hibernate_after: Duration::from_secs(10),
        event_timeout: Duration::from_secs(30),
        sql: false,
        keeps_failed: false,
        max_sockets: 32_768,
        max_tags: 10,
        max_tag: 256,
        max_attachment: 16 << 10,
        max_key: 2 << 10,
        max_value: 2 << 20,
        max_calls: 1024,
        max_held: 64 << 20,
    };
}

/// A class, to be known to a server.
#[derive(Clone, Copy)]
pub struct Registration {
    pub(super) name: &'static str,
    pub(super) sql: bool,
    pub(super) type_id: fn() -> TypeId,
    pub(super) make: fn(&Arc<Shared>) -> Made,
}

/// A class, as it is found by its type and by its name.
pub(super) type Made = (Arc<dyn Any + Send + Sync>, Arc<dyn AnyClass>);

impl Registration {
    /// The class's stable name.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Of this type.
    pub const fn of<T: DurableObject>() -> Self {
        Self {
            name: T::NAME,
            sql: T::OPTIONS.sql,
            type_id: TypeId::of::<T>,
            make: |shared| {
                let class = Arc::new(ClassOf::<T>::new(shared.clone()));
                (class.clone(), class)
            },
        }
    }
}

/// All objects of one type that are in memory.
pub(super) struct ClassOf<T> {
    pub(super) name: Arc<str>,
    pub(super) options: &'static ObjectOptions,
    pub(super) shared: Arc<Shared>,
    cells: Mutex<HashMap<[u8; 32], Arc<Cell<T>>>>,
}

/// A class of whatever type.
pub(super) trait AnyClass: Send + Sync {
    /// An object's alarm is due. Gives whether what follows from that is stored.
    fn fire(
        self: Arc<Self>,
        id: [u8; 32],
        alarm: Alarm,
    ) -> Pin<Box<dyn Future<Output = bool> + Send>>;

    /// Lets every object hibernate that has nothing to do.
    fn hibernate(&self);

    /// Forgets every object: each has its class, and would keep it.
    fn clear(&self);

    /// How many objects are in memory, awake or hibernating.
    fn len(&self) -> usize;
}

impl<T: DurableObject> ClassOf<T> {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            name: T::NAME.into(),
            options: const { &T::OPTIONS },
            shared,
            cells: Mutex::default(),
        }
    }

    pub(super) fn env(&self) -> Result<Env> {
        let env = self.shared.env.upgrade();
        env.ok_or_else(|| Error::undone("the server has ended"))
    }

    pub(super) fn cell(self: &Arc<Self>, id: [u8; 32]) -> Arc<Cell<T>> {
        match self.cells().entry(id) {
            Entry::Occupied(cell) => cell.get().clone(),
            Entry::Vacant(vacant) => {
                let class = self.name.clone();
                let key = ObjectKey { class, id };
                let core = Core::new(key, self.options, self.shared.clone());
                vacant.insert(Cell::new(core, self.clone())).clone()
            }
        }
    }

    /// Lets go of an object that has nothing left, unless somebody has just got it. Gives
    /// whether it did.
    pub(super) fn forget(&self, cell: &Arc<Cell<T>>) -> bool {
        let mut cells = self.cells();
        // The caller's and one in the map, and only the map hands out more.
        let alone = Arc::strong_count(cell) == 2;
        if alone {
            cells.remove(&cell.core.key.id);
        }
        alone
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Cell<T>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: DurableObject> AnyClass for ClassOf<T> {
    fn fire(
        self: Arc<Self>,
        id: [u8; 32],
        alarm: Alarm,
    ) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        Box::pin(async move {
            let cell = self.cell(id);
            let fired = alarm::fire(&cell, alarm).await;
            if let Err(error) = &fired {
                log(&format!("the alarm of {} failed", cell.core.key), error);
            }
            fired.is_ok()
        })
    }

    fn hibernate(&self) {
        let cells: Vec<_> = self.cells().values().cloned().collect();
        for cell in cells {
            cell.hibernate();
        }
    }

    fn clear(&self) {
        let cells = std::mem::take(&mut *self.cells());
        // Outside the lock: their values' drops are anybody's code.
        drop(cells);
    }

    fn len(&self) -> usize {
        self.cells().len()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registration({})", self.name)
    }
}
