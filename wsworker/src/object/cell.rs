//! One object of a known type: its turn, its value, and how an event is run on it.
//! Does not say what the events are; `jobs` does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Sleep, sleep};

use super::DurableObject;
use super::alarm::{self, AlarmInfo};
use super::class::ClassOf;
use super::consumer::ObjectSocket;
use super::context::ObjectContext;
use super::core::{Core, Owner};
use super::event::{Done, Event, Running};
use super::gate::{Gate, Settled};
use super::jobs::{Job, OnAlarm, OnError};
use super::member::Member;
use super::outgoing::Sent;
use crate::connection::Limits;
use crate::error::{Error, Result};
use crate::guard::{Kept, guarded, guarded_drop, log};
use crate::protocol::close::{CloseCode, ClosePayload};
use crate::socket::WebSocketEnd;
use crate::storage::{Alarm, AlarmChange, Batch};

/// An object, awake or not.
pub(super) struct Cell<T> {
    pub(super) core: Arc<Core>,
    class: Arc<ClassOf<T>>,
    /// One event at a time, in the order in which they came.
    turn: Mutex<Value<T>>,
}

/// The object's value, while it is awake.
pub(super) struct Value<T>(Option<Kept<T>>);

/// The object's turn: who has it runs the next event, of the same socket if it had one before.
pub(super) struct Turn<'a, T> {
    value: MutexGuard<'a, Value<T>>,
    /// The last event, of which nothing is left.
    last: Option<Box<Event>>,
}

/// What an event gave, and when it is durable.
pub(super) type Ended<R> = (R, Settled);

impl<T: DurableObject> Cell<T> {
    pub(super) fn new(core: Core, class: Arc<ClassOf<T>>) -> Arc<Self> {
        let cell = Arc::new(Self {
            core: Arc::new(core),
            class,
            turn: Mutex::new(Value(None)),
        });
        let owner = Arc::downgrade(&cell);
        cell.core.own(owner);
        cell
    }

    /// Runs an event when it is its turn. `source`: the socket that it comes from;
    /// `asked`: somebody waits for it to be durable. Whoever ran an event that gathers says
    /// when no more follow: then it sends, and [touches](Self::touch).
    ///
    /// # Errors
    /// It failed, and is undone.
    pub(super) async fn event<J: Job<T>>(
        &self,
        source: Option<&Arc<Member>>,
        asked: bool,
        job: J,
    ) -> Result<Ended<J::Output>> {
        let mut turn = self.turn().await;
        self.event_in(&mut turn, source, asked, job).await
    }

    /// Runs the event of an alarm, if it still is the object's.
    pub(super) async fn alarm(&self, alarm: Alarm) -> Result<Option<Settled>> {
        let mut turn = self.turn().await;
        if alarm::of(&self.core).await? != Some(alarm) {
            return Ok(None);
        }
        let retries = alarm.retries;
        let job = OnAlarm(AlarmInfo { retries });
        let ((), settled) = self.event_in(&mut turn, None, true, job).await?;
        Ok(Some(settled))
    }

    /// As `event`, of who has the turn, with a value that is ready.
    pub(super) async fn event_in<J: Job<T>>(
        &self,
        turn: &mut Turn<'_, T>,
        source: Option<&Arc<Member>>,
        asked: bool,
        job: J,
    ) -> Result<Ended<J::Output>> {
        let Turn { value, last } = turn;
        if !self.core.gate.is_settled() {
            // All that waits leaves at once, and is to find room in every socket that
            // reads what it gets.
            let room = source.map_or(Limits::default().max_buffered, |m| m.max_buffered()) / 2;
            if self.core.gate.is_crowded(room) {
                self.core.gate.settle().await;
                self.undo_failed(value, None);
            }
        }
        if source.is_some_and(|member| member.has_failed() || member.is_gone()) {
            // What it builds on never happened, as its sender sees it, or its accept did not.
            return Err(Error::undone("an event of its socket before it was"));
        }
        if J::NEEDS_OPEN && source.is_some_and(|member| member.is_closing()) {
            // Unless that comes to nothing, it is not heard any more.
            self.core.gate.settle().await;
            self.undo_failed(value, None);
            if source.is_some_and(|member| member.is_closing()) {
                return Err(Error::closed());
            }
        }
        let time = self.class.options.event_timeout;
        if self.core.store.has_sql() {
            self.core.store.begin(time).await;
        }
        let mut event = last.take().unwrap_or_else(|| Event::of(&self.core));
        let Done { batch, effects, .. } = &mut event.done;
        if effects.source.is_none() {
            effects.source = source.cloned();
        }
        job.prepare(batch);
        let code = guarded(|| self.run(value, job));
        let running = Running::new(event, Timed::new(code, TOOK, time));
        let (ran, mut event) = running.await;
        let done = &mut event.done;
        done.sql = self.core.store.is_open();
        let entered = match (ran.flatten().flatten(), done.aborted.take()) {
            (Ok(output), None) => {
                Gate::enter(&self.core, done, asked).map(|settled| (output, settled))
            }
            (Err(error), _) | (Ok(_), Some(error)) => Err(match J::METHOD {
                Some(method) => error.of_method(T::NAME, method),
                None => error,
            }),
        };
        let failure = match entered {
            Ok(ended) => {
                *last = Some(event);
                if !J::GATHERS {
                    self.core.outgoing.send();
                    self.touch();
                }
                return Ok(ended);
            }
            Err(error) => error,
        };
        done.effects
            .undo(&self.core, || Error::undone("its event failed"));
        self.touch();
        // Also if this is dropped while it waits.
        self.core.spoil();
        // What came before is settled first, so that the next value sees it.
        self.core.gate.settle().await;
        self.undo_failed(value, source);
        self.core.take_spoiled();
        value.0 = None;
        self.core.store.rollback().await;
        Err(failure)
    }

    async fn run<J: Job<T>>(&self, value: &mut Value<T>, job: J) -> Result<J::Output> {
        let object = match &mut value.0 {
            Some(object) => object,
            none => {
                let context = ObjectContext::of(&self.core);
                let object = T::new(context, self.class.env()?).await;
                let object = object.map_err(|error| error.of_method(T::NAME, "new"))?;
                none.insert(Kept::new(object))
            }
        };
        job.run(object).await
    }

    /// The turn, with a value that is ready for an event.
    pub(super) async fn turn(&self) -> Turn<'_, T> {
        let mut value = match self.turn.try_lock() {
            Ok(value) => value,
            Err(_) => self.turn.lock().await,
        };
        if !self.is_ready() {
            self.make_ready(&mut value).await;
        }
        Turn { value, last: None }
    }

    /// As `turn`, for as long as a whole event may take.
    ///
    /// # Errors
    /// It came later than that.
    pub(super) async fn turn_in_time(&self) -> Result<Turn<'_, T>> {
        Timed::new(self.turn(), WAITED, self.class.options.event_timeout).await
    }

    /// The turn that an event before has left, or a new one.
    pub(super) async fn next_turn<'a, 't>(
        &'a self,
        turn: &'t mut Option<Turn<'a, T>>,
    ) -> &'t mut Turn<'a, T> {
        match turn {
            Some(turn) => {
                self.make_ready(&mut turn.value).await;
                turn
            }
            none => none.insert(self.turn().await),
        }
    }

    /// Has the value that is there seen nothing that was undone?
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        let core = &self.core;
        !core.store.has_sql() && !core.gate.has_failed() && !core.is_spoiled()
    }

    /// Leaves only a value that has seen nothing that was undone.
    async fn make_ready(&self, value: &mut Value<T>) {
        if self.core.store.has_sql() {
            self.core.gate.settle().await;
        }
        self.undo_failed(value, None);
        if self.core.take_spoiled() {
            value.0 = None;
        }
    }

    /// Changes the alarm, if it still is what it was, without the object's code.
    pub(super) async fn change_alarm(&self, was: Alarm, change: AlarmChange) -> Result<()> {
        let turn = self.turn().await;
        if alarm::of(&self.core).await? != Some(was) {
            return Ok(());
        }
        let mut done = Done {
            batch: Batch::of_alarm(change),
            ..Done::default()
        };
        let entered = Gate::enter(&self.core, &mut done, true);
        drop(turn);
        entered?.wait().await
    }

    /// Undoes what built on a commit that failed, and tells its sockets: but not the one
    /// that is `told` already. One that goes on is told of each of its events.
    fn undo_failed(&self, value: &mut Value<T>, told: Option<&Arc<Member>>) {
        if !self.core.gate.has_failed() {
            return;
        }
        value.0 = None;
        self.core.cache().forget();
        let (events, why) = self.core.gate.take_failed();
        let keeps = self.class.options.keeps_failed;
        let untold = |m: &Arc<Member>| !told.is_some_and(|told| Arc::ptr_eq(told, m));
        let sources = events.iter().filter_map(|effects| effects.source.clone());
        // Before the undo: a socket that reopens by it is to know.
        let failed: Vec<_> = sources
            .filter(|m| !m.is_gone() && (keeps || untold(m) && m.set_failed()))
            .collect();
        for mut effects in events {
            effects.undo(&self.core, || Error::commit(&why));
        }
        // The first event first.
        for member in failed.into_iter().rev() {
            let cell = self.class.cell(self.core.key.id);
            let error = Error::commit(&why);
            tokio::spawn(async move { cell.fail(&member, error).await });
        }
    }

    /// A socket whose event was undone after it had ended well.
    async fn fail(&self, member: &Arc<Member>, error: Error) {
        let ws = member.websocket();
        let mut turn = self.turn().await;
        if member.is_gone() {
            // Nothing comes after its `on_close`.
            return;
        }
        let told = self.event_in(&mut turn, None, true, OnError(&ws, &error));
        let told = told.await;
        drop(turn);
        let told = match told {
            Ok(((), settled)) => settled.wait().await,
            Err(failed) => Err(failed),
        };
        if let Err(failed) = told {
            Member::log_error(&ws, &error);
            log(&format!("on_error of {} failed", self.core.key), &failed);
        }
        if !self.class.options.keeps_failed {
            // Behind what that event has sent.
            let closing = ClosePayload::cut(CloseCode::INTERNAL_ERROR, "");
            let mut close = vec![Sent::Close(member.clone(), closing)];
            self.core.outgoing.push(&mut close);
            self.core.outgoing.send();
        }
    }

    /// An event has ended: from now on it may be idle.
    pub(super) fn touch(&self) {
        let shared = &self.core.shared;
        self.core.used.store(shared.now(), Ordering::Relaxed);
        let listed = &self.core.listed;
        if !listed.load(Ordering::Acquire) && !listed.swap(true, Ordering::AcqRel) {
            shared.look_later(&self.core, self.class.options.hibernate_after);
        }
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if let Some(last) = self.last.take() {
            last.spare();
        }
    }
}

impl<T: DurableObject> Owner for Cell<T> {
    fn recover(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            drop(self.turn().await);
        })
    }

    fn accept(self: Arc<Self>, end: WebSocketEnd, member: &Arc<Member>) {
        // Made at once: dropped without a connection, it takes the member out.
        let socket = ObjectSocket::new(self, member.clone());
        let handle = end.accept_to(|handle, opener| socket.begin(handle, opener));
        member.bind(handle);
    }

    fn hibernate_after(&self) -> Duration {
        self.class.options.hibernate_after
    }

    fn hibernate(self: Arc<Self>) -> bool {
        let Ok(mut value) = self.turn.try_lock() else {
            return true;
        };
        if !self.core.is_quiet() {
            return true;
        }
        // In the turn: nobody else looks.
        value.0 = None;
        self.core.cache().forget();
        self.core.store.close();
        if !self.core.has_members() {
            // Still in the turn: an event that waits for it has this cell and keeps it, and one
            // that ran in between could have a commit on its way that the next cell does not see.
            let forgotten = self.class.forget(&self);
            if forgotten {
                // Whoever has kept its context may still read.
                self.core.cache().end();
            }
            drop(value);
            return !forgotten;
        }
        drop(value);
        false
    }
}

pin_project! {
    /// Code with a deadline. The timer is made only for code that waits.
    struct Timed<F> {
        // None when it was too late.
        #[pin]
        code: Option<F>,
        what: &'static str,
        time: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Timed<F> {
    fn new(code: F, what: &'static str, time: Duration) -> Self {
        Self {
            code: Some(code),
            what,
            time,
            timer: None,
        }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = Result<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let code = this.code.as_mut().as_pin_mut();
        let code = code.expect("not polled after its end");
        if let Poll::Ready(output) = code.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let time = *this.time;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(timer.as_mut().poll(cx));
        // Here, where it is the event's still: what it does as it is dropped is undone too.
        guarded_drop(|| this.code.set(None));
        Poll::Ready(Err(Error::too_slow(this.what, time)))
    }
}

const TOOK: &str = "the event took";
const WAITED: &str = "a call waited for its turn";
