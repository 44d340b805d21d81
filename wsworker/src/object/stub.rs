//! The way to an object from anywhere: by its name or its id, and through a stub.
//! Does not see to it that a call ends; `asked` does.

use std::fmt;
use std::sync::Arc;

use super::asked::asked;
use super::cell::Cell;
use super::class::{Class, ClassOf, DurableObject};
use super::context::ObjectContext;
use super::event::Event;
use super::id::ObjectId;
use super::jobs::{Call, Called, Fetch, Job};
use super::objects::Objects;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::{Request, Response};

impl Env {
    /// The objects of this class.
    ///
    /// ```no_run
    /// # use wsworker::prelude::*;
    /// # async fn f<Room: wsworker::DurableObject>(env: &Env, req: Request) -> Result<Response>
    /// # where Room: wsworker::__private::Class<Stub = wsworker::Stub<Room>> {
    /// let room = env.durable_object::<Room>().get_by_name("lobby");
    /// room.fetch(req).await
    /// # }
    /// ```
    ///
    /// That the class is registered shows with the first call of an object.
    pub fn durable_object<T: DurableObject>(&self) -> Namespace<T> {
        Namespace(Objects::of(self).and_then(Objects::class))
    }
}

impl ObjectContext {
    /// A stub of the object itself, for what runs beside its events or in another object: there
    /// it is the way back. `T` is the object's own type.
    ///
    /// ```
    /// # use wsworker::prelude::*;
    /// # #[durable_object]
    /// # struct Room { ctx: ObjectContext }
    /// # impl DurableObject for Room {
    /// #     async fn new(ctx: ObjectContext, _env: Env) -> Result<Self> { Ok(Self { ctx }) }
    /// # }
    /// #[durable_object]
    /// impl Room {
    ///     #[call]
    ///     async fn measure(&mut self) -> Result<()> {
    ///         let room = self.ctx.stub::<Self>()?;
    ///         // Beside the events: what it has found comes back as an event of its own.
    ///         self.ctx.wait_until(async move { room.measured(42).await })
    ///     }
    ///
    ///     #[call]
    ///     async fn measured(&mut self, value: u32) -> Result<()> {
    ///         self.ctx.storage().put("value", &value)
    ///     }
    /// }
    /// ```
    ///
    /// An event that waits for a call of its own object would wait for itself: that fails at once
    /// ([`is_deadlock`](Error::is_deadlock)).
    ///
    /// # Errors
    /// [`is_config`](Error::is_config): `T` is of another class than the object.
    /// [`is_undone`](Error::is_undone): the server has ended.
    pub fn stub<T: DurableObject>(&self) -> Result<T::Stub> {
        let core = self.core();
        let env = core.shared.env.upgrade();
        let env = env.ok_or_else(|| Error::undone("the server has ended"))?;
        let class = Objects::of(&env).and_then(Objects::class::<T>);
        match class {
            Some(class) if class.name == core.key.class => {
                let (class, id) = (Some(class), ObjectId::from_bytes(core.key.id));
                Ok(Stub { class, id }.into())
            }
            _ => Err(Error::config(format!(
                "this object is of the class '{}', and a stub of '{}' was wanted",
                core.key.class,
                T::NAME
            ))),
        }
    }
}

/// All objects of one class, whether they exist or not.
pub struct Namespace<T>(Option<Arc<ClassOf<T>>>);

impl<T: DurableObject> Namespace<T> {
    /// The object of this name.
    pub fn get_by_name(&self, name: &str) -> T::Stub {
        self.get(self.id_from_name(name))
    }

    /// The object of this id.
    pub fn get(&self, id: ObjectId<T>) -> T::Stub {
        let class = self.0.clone();
        Stub { class, id }.into()
    }

    /// The id that a name stands for: always the same.
    pub fn id_from_name(&self, name: &str) -> ObjectId<T> {
        ObjectId::of_name(T::NAME, name)
    }

    /// An id that no object has: 256 random bits.
    ///
    /// # Errors
    /// The system gives no random bytes ([`is_io`](Error::is_io)).
    pub fn new_unique_id(&self) -> Result<ObjectId<T>> {
        ObjectId::unique()
    }

    /// The id that was written as these 64 hexadecimal digits.
    ///
    /// # Errors
    /// They are none ([`is_invalid`](Error::is_invalid)). As they come from clients it stands
    /// for 400: `?` in `fetch` answers that.
    pub fn id_from_string(&self, digits: &str) -> Result<ObjectId<T>> {
        digits.parse()
    }
}

impl<T: DurableObject> fmt::Debug for Namespace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", T::NAME)
    }
}

/// One object, to be called. A clone is cheap, and none keeps the object awake.
///
/// Each call is an event of the object, and waits for its turn. Its result comes when
/// what it wrote is durable. A call that is dropped before it has begun never begins; one
/// that is dropped later, or not polled any more, still ends.
///
/// Inside an object's event a call waits first for the commits of that object's
/// earlier events, and is not undone with its own.
pub struct Stub<T> {
    class: Option<Arc<ClassOf<T>>>,
    id: ObjectId<T>,
}

impl<T: DurableObject> Stub<T> {
    /// Which object this is.
    pub fn id(&self) -> ObjectId<T> {
        self.id
    }

    /// Has the object answer a request. A WebSocket that it accepts is the object's:
    /// return the response to the client. Of a request that was made here,
    /// `Request::get("/").header("upgrade", "websocket")`, take it with
    /// `into_websocket` (feature `client`).
    ///
    /// # Errors
    /// What was wrong when the request was made; the object's own; [`is_overloaded`](Error::is_overloaded) when
    /// `max_calls` (1,024) wait; [`is_deadlock`](Error::is_deadlock) when it would wait for itself;
    /// [`is_timeout`](Error::is_timeout) after the event's deadline, or when its turn has not come
    /// within as long: then it never begins;
    /// [`is_undone`](Error::is_undone) when its commit failed.
    pub async fn fetch(&self, req: impl Into<Request>) -> Result<Response> {
        self.ask(Fetch(req.into().into_called()?)).await
    }

    /// What the methods of a typed stub call.
    #[doc(hidden)]
    pub fn call<R, F>(&self, call: F) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        F: for<'a> FnOnce(&'a mut T) -> Called<'a, R> + Send + 'static,
    {
        self.ask(Call(call))
    }

    async fn ask<J: Job<T> + 'static>(&self, job: J) -> Result<J::Output> {
        let caller = Event::running();
        if let Some(caller) = &caller {
            Event::settle(caller).await?;
        }
        // Not before: only an event lets it go again.
        let cell = self.cell()?;
        let waiting = match &caller {
            Some(caller) => {
                let waiting = caller.shared.waits.enter(&caller.key, &cell.core.key)?;
                Some(Arc::new(waiting))
            }
            None => None,
        };
        let place = cell.core.admit()?;
        let seen = waiting.as_ref().map(Arc::downgrade).unwrap_or_default();
        let (output, settled) = asked(cell, job, seen).await?;
        settled.wait().await?;
        drop((place, waiting));
        Ok(output.take())
    }

    fn cell(&self) -> Result<Arc<Cell<T>>> {
        let class = self.class.as_ref().ok_or_else(|| {
            let (name, path) = (T::NAME, std::any::type_name::<T>());
            // The type's name, which is not the class's where that has one of its own.
            let written = path.rsplit("::").next().unwrap_or(path);
            Error::config(format!(
                "the class '{name}' of Durable Objects is not registered: write \
                 #[worker(objects({written}))], or call Server::object::<{written}>()"
            ))
        })?;
        Ok(class.cell(*self.id.as_bytes()))
    }
}

impl<T> Clone for Stub<T> {
    fn clone(&self) -> Self {
        Self {
            class: self.class.clone(),
            id: self.id,
        }
    }
}

impl<T: Class> fmt::Debug for Stub<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stub({}:{})", T::NAME, self.id)
    }
}
