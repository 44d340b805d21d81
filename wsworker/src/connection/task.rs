//! The task that drives one connection: one `poll`, no lock and no allocation on
//! a message's way, one write for all that a read brought.
//!
//! A poll lets a suspended callback go on, hands over what was read ahead,
//! writes, reads, and parks. What an awake connection needs is boxed and freed
//! when it has nothing under way, so that an idle one is a socket and this task.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::yield_now;

use super::consumer::{self, Consumer, Event, Suspended, Turned};
use super::handle::{Handle, State};
use super::hub::Hub;
use super::life::{Life, Phase};
use super::stream::Stream;
use super::turn::Turn;
use super::wheel::Key;
use crate::error::Error;
use crate::protocol::close;
use crate::protocol::message::Message;
use crate::wire::batch::SLICES;
use crate::wire::{Batch, Item, OpCode, Reader, buffers};

/// What the opening handshake leaves for the connection.
pub(crate) struct Upgraded {
    pub(crate) stream: Stream,
    /// Bytes that came after the handshake.
    pub(crate) read: Vec<u8>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) remote_addr: Option<SocketAddr>,
    /// Dropped when the connection ends: it counts the server's connections.
    pub(crate) guard: Option<Box<dyn Send>>,
}

/// One connection: a future that ends with it.
pub(crate) struct Connection<C: Consumer, S = Stream> {
    handle: Arc<Handle>,
    // Reading.
    stream: Option<S>,
    reader: Reader,
    // The consumer.
    consumer: Listening<C>,
    life: Life,
    // Whatever is under way; none while idle.
    awake: Option<Box<Awake>>,
    // Time, in ticks.
    timer: Key,
    armed: u32,
    last_byte: u32,
    pinged: bool,
    /// We stopped reading, so the peer's silence does not count.
    stopped: bool,
    begun: bool,
    _guard: Option<Box<dyn Send>>,
}

enum Listening<C> {
    Idle(C),
    Running(Suspended<Turned<C>>, Outcome),
    /// Has heard the last event.
    Gone,
}

/// What the end of a turn means for the connection.
#[derive(Clone, Copy)]
enum Outcome {
    /// A failure ends it.
    Counts,
    /// A failure is only logged.
    IsLogged,
    /// As before, and it was the last turn.
    IsLast,
}

/// What is under way on a connection that is not idle.
#[derive(Default)]
struct Awake {
    /// Bytes read and not taken yet.
    unparsed: BytesMut,
    /// There may be whole frames in `unparsed`, not just the start of one.
    stashed: bool,
    /// Messages that came while the consumer was busy.
    ahead: VecDeque<Message>,
    ahead_bytes: usize,
    /// The consumer's own failure, which it hears next.
    failure: Option<Error>,
    /// Frames on their way out, before those in the queue.
    writing: Option<Batch>,
    /// When a write last went forward.
    wrote: u32,
    /// When the frame under way began, or last brought `FRAME_PROGRESS` bytes.
    frame_since: Option<u32>,
    frame_bytes: usize,
}

/// What a step of reading came to.
#[derive(PartialEq)]
enum Step {
    Again,
    Wait,
}

impl<C: Consumer, S: AsyncRead + AsyncWrite + Unpin> Connection<C, S> {
    /// A connection over `stream`, of which `read` has come already.
    pub(crate) fn new(
        stream: S,
        read: Vec<u8>,
        handle: Arc<Handle>,
        consumer: C,
        guard: Option<Box<dyn Send>>,
    ) -> Self {
        let hub = handle.hub();
        let timer = hub.insert(handle.clone());
        let mut connection = Self {
            last_byte: hub.now(),
            handle,
            stream: Some(stream),
            reader: Reader::new(true),
            consumer: Listening::Idle(consumer),
            life: Life::new(),
            awake: None,
            timer,
            armed: u32::MAX,
            pinged: false,
            stopped: false,
            begun: false,
            _guard: guard,
        };
        if !read.is_empty() {
            let awake = connection.awake();
            awake.unparsed = BytesMut::from(&read[..]);
            awake.stashed = true;
        }
        connection
    }

    fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let turn = Turn::enter(&self.handle);
        if !self.begun {
            self.begun = true;
            self.handle.set_waker(Some(cx.waker().clone()));
            self.deliver(Event::Open, Outcome::Counts, cx);
            if let Some(closing) = self.handle.hub().closing() {
                self.handle.close(closing);
            }
        }
        if self.handle.hub().is_stopped() && self.stream.is_some() {
            self.lost(io::ErrorKind::TimedOut.into());
        }
        self.keep_time();
        self.resume(cx);
        let mut share = MESSAGES_A_POLL;
        for _ in 0..READS_A_POLL {
            let starved = self.pump(cx);
            let phase = self.life.phase();
            self.flush(&turn, cx);
            if self.stream.is_none() && matches!(self.consumer, Listening::Gone) {
                return Poll::Ready(());
            }
            let step = self.fill(&mut share, cx);
            if share == 0 {
                break;
            }
            let roomier = starved && !self.handle.is_over_half();
            if step == Step::Wait && self.life.phase() == phase && !roomier {
                self.park();
                return Poll::Pending;
            }
        }
        // Its share is used up: others come first, those too that the runtime has
        // yet to ask the system about. A mere wake-up would come before them.
        self.flush(&turn, cx);
        self.park();
        let _ = pin!(yield_now()).poll(cx);
        Poll::Pending
    }

    // The consumer.

    /// Lets a suspended turn go on.
    fn resume(&mut self, cx: &mut Context<'_>) {
        if let Listening::Running(turn, outcome) = &mut self.consumer {
            let outcome = *outcome;
            let span = self.handle.enter_span();
            let polled = turn.as_mut().poll(cx);
            drop(span);
            if let Poll::Ready(turned) = polled {
                self.turned(turned, outcome);
            }
        }
    }

    /// Hands over what was read ahead, then the end. Gives whether it stopped
    /// because too much waits to be sent.
    #[inline]
    fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        self.notice_close();
        let calm = self.awake.is_none() && self.life.phase() == Phase::Open;
        !calm && self.pump_ahead(cx)
    }

    fn pump_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let phase = self.life.phase();
            if matches!(phase, Phase::Flushing | Phase::Lingering | Phase::Gone) {
                self.seal();
            }
            if !matches!(self.consumer, Listening::Idle(_)) {
                return false;
            }
            if let Some(failure) = self.awake.as_mut().and_then(|a| a.failure.take()) {
                self.deliver(Event::Error(failure), Outcome::IsLogged, cx);
                continue;
            }
            if self.handle.state() != State::Open {
                // After a Close of ours nothing is delivered, as in a browser.
                self.drop_ahead();
            }
            if self.awake.as_ref().is_some_and(|a| !a.ahead.is_empty()) {
                if self.handle.is_over_half() {
                    return true;
                }
                if let Some(message) = self.take_ahead() {
                    self.deliver(Event::Message(message), Outcome::Counts, cx);
                    self.notice_close();
                }
                continue;
            }
            if matches!(phase, Phase::Open | Phase::Closing) {
                return false;
            }
            if let Some(error) = self.life.take_error() {
                self.deliver(Event::Error(error), Outcome::IsLogged, cx);
            } else if phase == Phase::Ending {
                self.reply();
            } else if let Some(close) = self.life.take_close() {
                self.deliver(Event::Close(close), Outcome::IsLast, cx);
            } else {
                return false;
            }
        }
    }

    #[inline]
    fn deliver(&mut self, event: Event, outcome: Outcome, cx: &mut Context<'_>) {
        let Listening::Idle(consumer) = std::mem::replace(&mut self.consumer, Listening::Gone)
        else {
            unreachable!("events are delivered to an idle consumer");
        };
        let span = self.handle.enter_span();
        let started = consumer::start(consumer.turn(event), cx);
        drop(span);
        match started {
            Ok(turned) => self.turned(turned, outcome),
            Err(suspended) => self.consumer = Listening::Running(suspended, outcome),
        }
    }

    #[inline]
    fn turned(&mut self, (consumer, result): Turned<C>, outcome: Outcome) {
        self.consumer = match outcome {
            Outcome::IsLast => Listening::Gone,
            _ => Listening::Idle(consumer),
        };
        if let Err(error) = result {
            self.failed(error, outcome);
        }
    }

    #[cold]
    fn failed(&mut self, error: Error, outcome: Outcome) {
        if !matches!(outcome, Outcome::Counts) {
            let id = self.handle.id();
            tracing::error!(id, %error, "a callback failed while the connection ended");
            return;
        }
        self.drop_ahead();
        self.notice_close();
        self.life.failed(self.close_deadline());
        self.awake().failure = Some(error);
    }

    fn take_ahead(&mut self) -> Option<Message> {
        let awake = self.awake.as_mut()?;
        let message = awake.ahead.pop_front()?;
        awake.ahead_bytes -= charge(&message);
        Some(message)
    }

    fn drop_ahead(&mut self) {
        if let Some(awake) = &mut self.awake {
            awake.ahead = VecDeque::new();
            awake.ahead_bytes = 0;
        }
    }

    // Closing.

    /// A Close was sent through the handle, by whomever.
    fn notice_close(&mut self) {
        if self.life.phase() == Phase::Open && self.handle.state() != State::Open {
            self.life.closed_here(self.close_deadline());
        }
    }

    /// The messages before the end were handled, or waited for long enough.
    fn reply(&mut self) {
        let reply = self.life.take_reply(self.close_deadline());
        if let Some(reply) = reply {
            self.handle.close(&reply);
        }
        self.seal();
    }

    fn seal(&self) {
        if self.handle.state() != State::Closed {
            self.handle.set_closed();
        }
    }

    /// The stream failed or ended.
    fn lost(&mut self, error: io::Error) {
        self.stream = None;
        self.seal();
        let deadline = self.close_deadline();
        match self.life.phase() {
            Phase::Flushing | Phase::Lingering | Phase::Gone => self.life.gone(),
            _ if is_drop(&error) => self.life.lost(None, deadline),
            _ => {
                let error = Error::io("the connection failed", error);
                self.life.lost(Some(error), deadline);
            }
        }
    }

    fn close_deadline(&self) -> u32 {
        let hub = self.handle.hub();
        hub.now() + hub.times.close
    }

    // Writing.

    /// Writes what was sent, as far as the stream takes it.
    #[inline]
    fn flush(&mut self, turn: &Turn, cx: &mut Context<'_>) {
        if !turn.is_empty() {
            self.write_held(turn, cx);
        }
        let written = self.handle.is_drained() || self.write_queued(cx);
        self.handle.tell_room();
        if written && self.life.phase() == Phase::Flushing {
            self.shut_down(cx);
        }
    }

    /// Writes what this turn sent; the connection keeps what does not go out.
    fn write_held(&mut self, turn: &Turn, cx: &mut Context<'_>) {
        let mut held = turn.take();
        if let Poll::Ready(Err(error)) = self.write(&mut held, cx) {
            self.lost(error);
        }
        if !held.is_empty() {
            // Nothing else was on its way, else it would not have been held.
            let rest = held.take_rest();
            self.handle.add_buffered(rest.len());
            let now = self.handle.hub().now();
            let awake = self.awake();
            awake.writing = Some(rest);
            awake.wrote = now;
        }
        turn.give(held);
    }

    /// Writes what waits; gives whether nothing is left.
    fn write_queued(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let begun = self.awake.as_mut().and_then(|awake| awake.writing.take());
            let fresh = begun.is_none();
            let Some(mut batch) = begun.or_else(|| self.handle.take_queued()) else {
                return true;
            };
            let before = batch.len();
            let polled = self.write(&mut batch, cx);
            if let Poll::Ready(Err(error)) = polled {
                self.lost(error);
            }
            if self.stream.is_none() {
                batch.clear();
            }
            self.handle.sub_buffered(before - batch.len());
            if !batch.is_empty() {
                let now = self.handle.hub().now();
                let moved = batch.len() < before;
                let awake = self.awake();
                if fresh || moved {
                    awake.wrote = now;
                }
                awake.writing = Some(batch);
                return false;
            }
        }
    }

    #[inline]
    fn write(&mut self, batch: &mut Batch, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else {
            batch.clear();
            return Poll::Ready(Ok(()));
        };
        let mut stream = Pin::new(stream);
        while !batch.is_empty() {
            let n = match batch.as_slice() {
                Some(slice) => ready!(stream.as_mut().poll_write(cx, slice))?,
                None => {
                    let mut slices = [io::IoSlice::new(&[]); SLICES];
                    let count = batch.slices(&mut slices);
                    ready!(stream.as_mut().poll_write_vectored(cx, &slices[..count]))?
                }
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            batch.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    /// The last frame went out.
    fn shut_down(&mut self, cx: &mut Context<'_>) {
        let shut = match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => return self.life.gone(),
        };
        if shut.is_ready() {
            self.life.flushed();
            if self.life.phase() == Phase::Gone {
                self.stream = None;
            }
        }
    }

    // Reading.

    /// Reads once, and hands over what came.
    fn fill(&mut self, share: &mut usize, cx: &mut Context<'_>) -> Step {
        match self.life.phase() {
            Phase::Open | Phase::Closing => {}
            Phase::Lingering => return self.discard(cx),
            _ => return Step::Wait,
        }
        if !self.may_take() {
            self.stopped = true;
            return Step::Wait;
        }
        if self.stopped {
            self.stopped = false;
            self.heard(0);
        }
        if let Some(awake) = self.awake.as_mut().filter(|awake| awake.stashed) {
            awake.stashed = false;
            let mut stash = std::mem::take(&mut awake.unparsed);
            self.parse(&mut stash, 0, share, cx);
            // What is still not taken stays where it is.
            if let Some(awake) = self.awake.as_mut().filter(|_| !stash.is_empty()) {
                awake.unparsed = stash;
            }
            return Step::Again;
        }
        let mut chunk = buffers::take();
        let step = match self.read(&mut chunk, cx) {
            Poll::Pending => Step::Wait,
            Poll::Ready(Ok(0)) => {
                self.life.lost(None, self.close_deadline());
                Step::Again
            }
            Poll::Ready(Ok(n)) => {
                self.parse(&mut chunk, n, share, cx);
                if !chunk.is_empty() {
                    // The chunk is the thread's.
                    self.awake().unparsed = BytesMut::from(&chunk[..]);
                }
                Step::Again
            }
            Poll::Ready(Err(error)) => {
                self.lost(error);
                Step::Again
            }
        };
        buffers::give(chunk);
        step
    }

    /// May the next message be taken from the peer: by the consumer if it is
    /// free, else to be read ahead?
    #[inline]
    fn may_take(&self) -> bool {
        if self.handle.state() != State::Open {
            return true;
        }
        let (ahead, failed) = match &self.awake {
            Some(awake) => (awake.ahead_bytes, awake.failure.is_some()),
            None => (0, false),
        };
        let room = match self.consumer {
            Listening::Idle(_) => ahead == 0 && !failed,
            Listening::Running(..) => ahead < READ_AHEAD,
            Listening::Gone => false,
        };
        room && !self.handle.is_over_half()
    }

    /// One read: into the message under way if it is a large one, else behind
    /// what was left over, into `chunk`.
    fn read(&mut self, chunk: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        if let Some((buffer, room)) = self.reader.direct() {
            let n = ready!(poll_read(stream, &mut buffer.limit(room), cx))?;
            if n > 0
                && let Err(violation) = self.reader.direct_filled(n)
            {
                self.violated(violation);
            }
            return Poll::Ready(Ok(n));
        }
        let mut room = buffers::CHUNK;
        if let Some(awake) = &mut self.awake {
            if matches!(self.consumer, Listening::Running(..)) {
                room = READ_AHEAD.saturating_sub(awake.ahead_bytes).max(1);
            }
            chunk.extend_from_slice(&awake.unparsed);
        }
        let n = ready!(poll_read(stream, &mut chunk.limit(room), cx))?;
        if let Some(awake) = &mut self.awake {
            awake.unparsed = BytesMut::new();
        }
        Poll::Ready(Ok(n))
    }

    /// Takes what lies in `chunk`, of which `n` bytes have just come. What it
    /// leaves there is to be kept.
    fn parse(&mut self, chunk: &mut BytesMut, n: usize, share: &mut usize, cx: &mut Context<'_>) {
        let limit = self.handle.limits().max_message;
        let heads = self.reader.heads();
        let mut items = 0;
        loop {
            if !matches!(self.life.phase(), Phase::Open | Phase::Closing) {
                // Nothing that comes after the end is heard.
                chunk.clear();
                break;
            }
            if *share == 0 || !self.may_take() {
                if !chunk.is_empty() {
                    self.awake().stashed = true;
                }
                break;
            }
            match self.reader.next(chunk, limit) {
                Ok(Some(item)) => {
                    *share -= 1;
                    items += 1;
                    self.take(item, cx);
                }
                Ok(None) => break,
                Err(violation) => self.violated(violation),
            }
        }
        if n > 0 {
            self.heard(n);
        }
        let fresh = items > 0 || heads != self.reader.heads();
        self.time_frame(n, fresh, !chunk.is_empty());
    }

    #[inline]
    fn take(&mut self, item: Item, cx: &mut Context<'_>) {
        match item {
            Item::Message(message) => {
                if self.handle.state() != State::Open {
                    // Ours was the last word.
                } else if matches!(self.consumer, Listening::Idle(_)) {
                    self.deliver(Event::Message(message), Outcome::Counts, cx);
                } else {
                    let message = message.detached_below(buffers::CHUNK / 2);
                    let awake = self.awake();
                    awake.ahead_bytes += charge(&message);
                    awake.ahead.push_back(message);
                }
            }
            Item::Ping(payload) => self.handle.send_control(OpCode::Pong, payload.as_bytes()),
            Item::Pong => {}
            Item::Close(payload) => {
                self.notice_close();
                match close::parse(payload.as_bytes()) {
                    Ok(close) => self.life.closed_by_peer(close, self.close_deadline()),
                    Err(violation) => self.violated(violation),
                }
            }
        }
    }

    fn violated(&mut self, violation: Error) {
        self.notice_close();
        self.life.violated(violation, self.close_deadline());
    }

    /// Reads what nobody will hear, until the peer has read our Close and ends.
    fn discard(&mut self, cx: &mut Context<'_>) -> Step {
        let Some(stream) = &mut self.stream else {
            self.life.gone();
            return Step::Again;
        };
        let mut chunk = buffers::take();
        let polled = poll_read(stream, &mut chunk, cx);
        buffers::give(chunk);
        match polled {
            Poll::Pending => Step::Wait,
            Poll::Ready(Ok(n)) if n > 0 => Step::Again,
            Poll::Ready(_) => {
                self.stream = None;
                self.life.gone();
                Step::Again
            }
        }
    }

    // Time.

    /// The peer gave a sign of life, or could not.
    #[inline]
    fn heard(&mut self, n: usize) {
        self.last_byte = self.handle.hub().now();
        self.pinged = false;
        if let (0, Some(awake)) = (n, &mut self.awake) {
            awake.frame_since = awake.frame_since.map(|_| self.last_byte);
        }
    }

    /// Starts, renews or stops the clock of the frame under way, of which the
    /// start may be `left` unparsed.
    fn time_frame(&mut self, n: usize, fresh: bool, left: bool) {
        let now = self.last_byte;
        let stashed = self.awake.as_ref().is_some_and(|awake| awake.stashed);
        if !self.reader.in_frame() && (stashed || !left) {
            if let Some(awake) = &mut self.awake {
                awake.frame_since = None;
            }
            return;
        }
        let awake = self.awake();
        awake.frame_bytes += n;
        if fresh || awake.frame_since.is_none() || awake.frame_bytes >= FRAME_PROGRESS {
            awake.frame_since = Some(now);
            awake.frame_bytes = 0;
        }
    }

    /// Acts on the deadlines that passed.
    fn keep_time(&mut self) {
        let now = self.handle.hub().now();
        if now < self.armed {
            return;
        }
        self.armed = u32::MAX;
        match self.life.phase() {
            Phase::Open => self.keep_open_time(now),
            _ if now < self.life.deadline() => {}
            Phase::Ending => {
                self.drop_ahead();
                self.reply();
            }
            Phase::Closing | Phase::Flushing | Phase::Lingering => {
                self.stream = None;
                self.life.gone();
            }
            Phase::Gone => {}
        }
    }

    fn keep_open_time(&mut self, now: u32) {
        let (idle, limits) = (self.handle.hub().times.idle, self.handle.limits());
        let stalled = self
            .stalled_since()
            .is_some_and(|since| now >= since + idle);
        let quiet = now.saturating_sub(self.last_byte);
        if stalled || (!self.stopped && quiet >= idle) {
            self.lost(io::ErrorKind::TimedOut.into());
        } else if self
            .frame_due()
            .is_some_and(|due| now >= due && !self.stopped)
        {
            let timeout = limits.frame_timeout;
            let message = format!("a frame was not whole within {timeout:?}");
            self.violated(Error::protocol(1008, message));
        } else if !self.stopped && !self.pinged && quiet >= idle / 2 {
            self.pinged = true;
            self.handle.send_control(OpCode::Ping, &[]);
        }
    }

    /// Since when the peer takes nothing of what waits for it.
    fn stalled_since(&self) -> Option<u32> {
        let awake = self.awake.as_ref()?;
        awake.writing.as_ref().map(|_| awake.wrote)
    }

    fn frame_due(&self) -> Option<u32> {
        let since = self.awake.as_ref()?.frame_since?;
        Some(since + self.handle.hub().times.frame)
    }

    /// Before the task waits: lets go of what is not needed, and asks to be
    /// called in time.
    #[inline]
    fn park(&mut self) {
        if self.awake.as_ref().is_some_and(|awake| awake.is_idle()) {
            self.awake = None;
        }
        let calm = self.awake.is_none() && self.life.phase() == Phase::Open;
        if calm && self.armed != u32::MAX && !self.pinged {
            // What was asked for comes early, and will be put off then.
            return;
        }
        self.arm();
    }

    /// Asks to be called at the nearest deadline.
    fn arm(&mut self) {
        let due = match self.life.phase() {
            Phase::Open => {
                let idle = self.handle.hub().times.idle;
                let silence = if self.pinged { idle } else { idle / 2 };
                let silence = (!self.stopped).then_some(self.last_byte + silence);
                let stall = self.stalled_since().map(|since| since + idle);
                let frame = self.frame_due().filter(|_| !self.stopped);
                [silence, stall, frame].into_iter().flatten().min()
            }
            Phase::Gone => None,
            _ => Some(self.life.deadline()),
        };
        if let Some(due) = due.filter(|due| *due < self.armed) {
            self.armed = due;
            self.handle.hub().set(self.timer, due);
        }
    }

    fn awake(&mut self) -> &mut Awake {
        self.awake.get_or_insert_default()
    }
}

impl Awake {
    fn is_idle(&self) -> bool {
        self.unparsed.is_empty()
            && self.ahead.is_empty()
            && self.failure.is_none()
            && self.writing.is_none()
            && self.frame_since.is_none()
    }
}

impl<C: Consumer, S: AsyncRead + AsyncWrite + Unpin> Future for Connection<C, S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.run(cx)
    }
}

// Nothing is pinned in place: turns live in boxes of their own.
impl<C: Consumer, S> Unpin for Connection<C, S> {}

impl<C: Consumer, S> Drop for Connection<C, S> {
    fn drop(&mut self) {
        self.handle.set_closed();
        self.handle.set_waker(None);
        self.handle.hub().remove(self.timer);
    }
}

/// One read into `buffer`'s room.
#[inline]
fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut impl BufMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    // The future holds nothing over a `Pending`: it may be made anew each time.
    pin!(stream.read_buf(buffer)).poll(cx)
}

/// What a message that was read ahead costs.
fn charge(message: &Message) -> usize {
    message.len() + size_of::<Message>()
}

/// A peer that went away, in one of the ways of TCP.
fn is_drop(error: &io::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof
    )
}

/// Bytes read while the consumer is busy; then the peer waits.
const READ_AHEAD: usize = 64 * 1024;

/// A slow frame's clock starts anew when it has brought so much.
const FRAME_PROGRESS: usize = 64 * 1024;

/// A connection's share of its thread before others have their turn.
const READS_A_POLL: usize = 8;
const MESSAGES_A_POLL: usize = 1024;
