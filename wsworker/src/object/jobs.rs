//! The kinds of events: which of an object's methods each calls, with what.
//! Does not run them; `cell` does.

use std::pin::Pin;

use super::DurableObject;
use super::alarm::AlarmInfo;
use super::event::Event;
use crate::error::{Error, Result};
use crate::http::{Request, Response};
use crate::protocol::close::CloseEvent;
use crate::protocol::message::Message;
use crate::socket::WebSocket;
use crate::storage::{AlarmChange, Batch};

/// What an event does with the object.
pub(super) trait Job<T>: Send {
    type Output: Send;

    /// The method that it calls: what an error of it is named after. A typed call names
    /// its own.
    const METHOD: Option<&'static str>;

    /// Is it only for an open socket to cause?
    const NEEDS_OPEN: bool = false;

    /// Do others like it often follow at once? Then they send together.
    const GATHERS: bool = false;

    /// What the event has done before anything runs.
    fn prepare(&self, batch: &mut Batch) {
        let _ = batch;
    }

    fn run(self, object: &mut T) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Whoever asked for it has gone.
    fn undelivered(output: Self::Output) {
        drop(output);
    }
}

pub(super) struct Fetch(pub(super) Request);
pub(super) struct OnOpen<'a>(pub(super) &'a WebSocket, pub(super) &'a Request);
pub(super) struct OnMessage<'a>(pub(super) &'a mut Incoming);
pub(super) struct OnClose<'a>(pub(super) &'a WebSocket, pub(super) CloseEvent);
pub(super) struct OnError<'a>(pub(super) &'a WebSocket, pub(super) &'a Error);
pub(super) struct OnAlarm(pub(super) AlarmInfo);
/// A typed call.
pub(super) struct Call<F>(pub(super) F);

/// A job where it lies until it is run: moved once, not by each function on the way.
pub(super) struct Held<'a, J>(pub(super) &'a mut Option<J>);

/// A message where it lies until the object's method has it: moved once, not by each
/// function on the way.
pub(super) struct Incoming {
    pub(super) ws: WebSocket,
    pub(super) message: Option<Message>,
}

/// What a typed call gives.
pub type Called<'a, R> = Pin<Box<dyn Future<Output = Result<R>> + Send + 'a>>;

impl<T: Send, J: Job<T>> Job<T> for Held<'_, J> {
    type Output = J::Output;

    const METHOD: Option<&'static str> = J::METHOD;
    const NEEDS_OPEN: bool = J::NEEDS_OPEN;
    const GATHERS: bool = J::GATHERS;

    fn prepare(&self, batch: &mut Batch) {
        if let Some(job) = &*self.0 {
            job.prepare(batch);
        }
    }

    fn run(self, object: &mut T) -> impl Future<Output = Result<J::Output>> + Send {
        let job = self.0.take().expect("a job is run once");
        job.run(object)
    }
}

impl<T: DurableObject> Job<T> for Fetch {
    type Output = Response;

    const METHOD: Option<&'static str> = Some("fetch");

    fn undelivered(response: Response) {
        response.unsent();
    }

    async fn run(self, object: &mut T) -> Result<Response> {
        let head = self.0.shared_head().clone();
        let response = object.fetch(self.0).await?;
        let response = response.answering(&head)?;
        let core = Event::running().expect("a job is run inside an event");
        response.listened_to(|end| core.accept(end, Box::default()).map(drop))
    }
}

impl<T: DurableObject> Job<T> for OnOpen<'_> {
    type Output = ();

    const METHOD: Option<&'static str> = Some("on_open");

    async fn run(self, object: &mut T) -> Result<()> {
        object.on_open(self.0, self.1).await
    }
}

impl<T: DurableObject> Job<T> for OnMessage<'_> {
    type Output = ();

    const METHOD: Option<&'static str> = Some("on_message");
    const NEEDS_OPEN: bool = true;
    const GATHERS: bool = true;

    fn run(self, object: &mut T) -> impl Future<Output = Result<()>> + Send {
        let Incoming { ws, message } = self.0;
        let message = message.take().expect("each has its event");
        object.on_message(ws, message)
    }
}

impl<T: DurableObject> Job<T> for OnClose<'_> {
    type Output = ();

    const METHOD: Option<&'static str> = Some("on_close");

    async fn run(self, object: &mut T) -> Result<()> {
        object.on_close(self.0, self.1).await;
        Ok(())
    }
}

impl<T: DurableObject> Job<T> for OnError<'_> {
    type Output = ();

    const METHOD: Option<&'static str> = Some("on_error");

    async fn run(self, object: &mut T) -> Result<()> {
        object.on_error(self.0, self.1).await;
        Ok(())
    }
}

impl<T: DurableObject> Job<T> for OnAlarm {
    type Output = ();

    const METHOD: Option<&'static str> = Some("alarm");

    /// Cleared by its own commit, unless the handler sets another.
    fn prepare(&self, batch: &mut Batch) {
        batch.alarm = Some(AlarmChange::Delete);
    }

    async fn run(self, object: &mut T) -> Result<()> {
        object.alarm(self.0).await
    }
}

impl<T: DurableObject, R, F> Job<T> for Call<F>
where
    R: Send,
    F: for<'a> FnOnce(&'a mut T) -> Called<'a, R> + Send,
{
    type Output = R;

    const METHOD: Option<&'static str> = None;

    async fn run(self, object: &mut T) -> Result<R> {
        (self.0)(object).await
    }
}
