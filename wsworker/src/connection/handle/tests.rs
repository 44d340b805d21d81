use std::pin::pin;
use std::task::{Context, Wake};

use super::*;
use crate::connection::hub::{Hub, Limits};
use crate::env::Env;

fn handle(max_buffered: usize) -> Arc<Handle> {
    let limits = Limits {
        max_buffered,
        ..Limits::default()
    };
    let handle = Handle::new(Role::Server);
    handle.bind(Hub::new(limits, Env::default()), None, None);
    handle
}

/// A task, as far as its waker goes.
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_cancelled_ready_leaves_nothing_behind() {
    let handle = handle(100);
    while handle.send(&Message::from("0123456789")).is_ok() {}
    for _ in 0..10_000 {
        let task = Arc::new(Task(AtomicBool::new(false)));
        let waker = task.clone().into();
        {
            let ready = pin!(handle.ready(0));
            assert!(ready.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 1, "its waker is kept");
    }
    let queue = handle.queue();
    let for_room = &queue.waiting.as_ref().unwrap().for_room;
    assert_eq!(Arc::strong_count(for_room.as_ref().unwrap()), 1);
}

#[test]
fn who_waits_on_is_called_when_another_gave_up() {
    let handle = handle(100);
    while handle.send(&Message::from("0123456789")).is_ok() {}
    let tasks = [(); 2].map(|()| Arc::new(Task(AtomicBool::new(false))));
    let [first, second] = tasks.clone().map(Into::into);
    let mut waits = pin!(handle.ready(0));
    let mut context = Context::from_waker(&second);
    {
        let cancelled = pin!(handle.ready(0));
        assert!(
            cancelled
                .poll(&mut Context::from_waker(&first))
                .is_pending()
        );
        assert!(waits.as_mut().poll(&mut context).is_pending());
    }
    let batch = handle.take_queued().unwrap();
    handle.sub_buffered(batch.len());
    handle.tell_room();
    assert!(!tasks[0].0.load(Ordering::SeqCst));
    assert!(tasks[1].0.load(Ordering::SeqCst));
    assert!(waits.as_mut().poll(&mut context).is_ready());
}

/// The payloads of what waits in the handle's queue.
fn waiting(handle: &Handle) -> Vec<Vec<u8>> {
    let batch = handle.take_queued().unwrap();
    assert_eq!(handle.buffered(), batch.len());
    handle.sub_buffered(batch.len());
    let mut bytes = batch.as_slice().unwrap();
    let mut payloads = Vec::new();
    while let &[_, len, ref rest @ ..] = bytes {
        let (payload, rest) = rest.split_at(usize::from(len));
        payloads.push(payload.to_vec());
        bytes = rest;
    }
    payloads
}

#[test]
fn of_the_pings_that_wait_for_an_answer_the_last_gets_one() {
    let handle = handle(1000);
    let ping = |payload: &'static str| handle.answer_ping(&Bytes::from(payload));
    let send = |text: &str| handle.send(&Message::from(text)).unwrap();
    send("one");
    ping("a");
    ping("b");
    assert_eq!(waiting(&handle), [b"one" as &[u8], b"b"]);
    ping("c");
    ping("d");
    ping("e");
    assert_eq!(waiting(&handle), [b"c", b"e"]);
    send("two");
    ping("f");
    send("three");
    ping("g");
    handle.close(&ClosePayload::empty());
    ping("h");
    assert_eq!(
        waiting(&handle),
        [b"two" as &[u8], b"f", b"three", b"g", b""]
    );
    assert!(handle.take_queued().is_none());
}

/// What a room has to keep for many members who do not read is there once.
#[cfg(feature = "objects")]
#[test]
fn frames_for_many_wait_in_one_place() {
    let frames = Bytes::from(vec![0x82; 64 << 10]);
    for _ in 0..3 {
        let member = handle(1 << 20);
        member.send_frames(&frames).unwrap();
        member.send_frames(&frames).unwrap();
        let batch = member.take_queued().unwrap();
        assert_eq!(batch.len(), 2 * frames.len());
        let mut slices = [std::io::IoSlice::new(&[]); crate::wire::batch::SLICES];
        let count = batch.slices(&mut slices);
        for slice in &slices[..count] {
            assert_eq!(slice.as_ptr(), frames.as_ptr());
        }
    }
}
