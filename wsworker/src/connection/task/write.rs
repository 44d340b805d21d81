//! What was sent, out: the turn's frames first, then the queue's.
//! Does not encode frames, or decide what is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::Connection;
use crate::connection::consumer::Consumer;
use crate::connection::life::Phase;
#[cfg(unix)]
use crate::connection::stream::Polled;
use crate::connection::stream::Stream;
use crate::connection::turn::{self, Turn};
use crate::wire::batch::SLICES;
use crate::wire::{Batch, Role};

impl<C: Consumer> Connection<C> {
    /// Writes what was sent, as far as the stream takes it.
    #[inline(always)]
    pub(super) fn flush(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) {
        let nothing_waits = turn.held() == 0 && self.handle.is_drained();
        if !nothing_waits || self.life.phase() == Phase::Flushing {
            self.write_waiting(turn, cx);
        }
    }

    fn write_waiting(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) {
        if turn.held() > 0 && !self.write_slice(turn, cx) {
            self.write_held(turn, cx);
        }
        let written = self.handle.is_drained() || self.write_queued(cx);
        self.handle.tell_room();
        if written && self.life.phase() == Phase::Flushing {
            self.shut_down(cx);
        }
    }

    /// Writes what this turn sent the short way; gives whether nothing is left.
    #[inline]
    fn write_slice(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        turn.write(|slice| stream.write_some(slice, cx))
    }

    /// Writes what this turn sent; the connection keeps what does not go out.
    fn write_held(&mut self, turn: &Turn<'_>, cx: &mut Context<'_>) {
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
                // Now it waits: it may pin receive buffers no longer.
                awake.writing = Some(if fresh { batch.take_rest() } else { batch });
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
        // RFC 6455 §7.1.1: after both Closes it is the server that closes the stream.
        if self.handle.role() == Role::Client && self.life.is_clean() && self.stream.is_some() {
            return self.life.flushed(true);
        }
        let says_goodbye = self.stream.as_ref().is_some_and(Stream::says_goodbye);
        if self.life.has_parted() && !says_goodbye {
            // Closing the stream does what shutting it down would, in one call.
            self.drop_stream();
            return self.life.gone();
        }
        // Whoever wrote to it would find it shut.
        drop(self.handle.end_direct());
        let shut = match &mut self.stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => return self.life.gone(),
        };
        if shut.is_ready() {
            self.life.flushed(false);
            if self.life.phase() == Phase::Gone {
                self.drop_stream();
            }
        }
    }

    /// Lets others of this thread write to the stream, if it will always be of this
    /// thread.
    pub(super) fn share_stream(&mut self) {
        let Some(home) = turn::home() else {
            return;
        };
        if let Some(stream) = self.stream.take() {
            let (stream, writer) = stream.share();
            self.stream = Some(stream);
            if let Some(writer) = writer {
                self.handle.set_direct(home, writer);
            }
        }
    }

    /// Does it run on plain TCP?
    #[cfg(unix)]
    pub(in crate::connection) fn is_plain(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::is_plain)
    }

    /// Has a reactor watch the plain stream from now on, by `register`.
    #[cfg(unix)]
    pub(in crate::connection) fn adopt(
        &mut self,
        register: impl FnOnce(&mut mio::net::TcpStream) -> io::Result<()>,
    ) {
        let socket = match self.stream.take() {
            Some(Stream::Loose(mut stream)) => stream.take(),
            Some(Stream::Tcp(stream)) => stream.into_std().map(mio::net::TcpStream::from_std),
            other => return self.stream = other,
        };
        match socket.and_then(|socket| Polled::new(socket, register)) {
            Ok(polled) => self.stream = Some(Stream::Polled(polled)),
            Err(error) => self.lost(error),
        }
    }

    /// Nobody writes to it any more: the last half closes it.
    pub(super) fn drop_stream(&mut self) {
        drop(self.handle.end_direct());
        self.stream = None;
    }
}
