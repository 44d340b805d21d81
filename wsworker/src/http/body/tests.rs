use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::Waker;

use super::*;
use crate::http::{Request, Response};

/// Gives what it was given, `None` being a pause.
struct Script(VecDeque<Option<Result<&'static str>>>);

fn script(steps: impl IntoIterator<Item = Option<Result<&'static str>>>) -> Script {
    Script(steps.into_iter().collect())
}

impl HttpBody for Script {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(None) => Poll::Pending,
            Some(Some(step)) => Poll::Ready(Some(step.map(|text| Frame::data(text.into())))),
        }
    }
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn now<F: Future>(future: F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn text(body: &mut Body) -> Result<String> {
    now(body.text())
}

#[test]
fn what_holds_a_body_can_be_shared_between_threads() {
    fn is_sync<T: Send + Sync>() {}
    is_sync::<Request>();
    is_sync::<Response>();
}

#[test]
fn whole_bodies_come_as_one_chunk_without_a_box() {
    for mut body in [
        Body::from("text"),
        String::from("text").into(),
        b"text".to_vec().into(),
        Bytes::from("text").into(),
        (&b"text"[..]).into(),
    ] {
        assert!(!body.is_stream());
        assert_eq!(body.length(), Some(4));
        assert_eq!(now(body.chunk()).unwrap().unwrap(), "text");
        assert!(body.is_end_stream());
        assert!(now(body.chunk()).is_none());
    }
    assert!(!Body::new(Body::empty()).is_stream());
    assert_eq!(text(&mut ().into()).unwrap(), "");
}

#[test]
fn a_dropped_wait_for_a_chunk_loses_nothing() {
    let mut body = Body::new(script([None, Some(Ok("one")), None, Some(Ok("two"))]));
    let mut read = String::new();
    let mut waits = 0;
    loop {
        match poll(body.chunk()) {
            Poll::Pending => waits += 1,
            Poll::Ready(None) => break,
            Poll::Ready(Some(chunk)) => read += std::str::from_utf8(&chunk.unwrap()).unwrap(),
        }
    }
    assert_eq!((read.as_str(), waits), ("onetwo", 2));
}

#[test]
fn a_read_that_was_given_up_does_not_pass_a_part_for_the_whole() {
    let mut body = Body::new(script([Some(Ok("one")), None, Some(Ok("two"))]));
    assert!(poll(body.text()).is_pending());
    let error = text(&mut body).unwrap_err();
    assert!(error.to_string().contains("given up halfway"), "{error}");
}

#[test]
fn empty_chunks_are_left_out_and_others_joined() {
    let chunks = ["", "a", "", "b", "c", ""].map(|c| Some(Ok(c)));
    assert_eq!(text(&mut Body::new(script(chunks))).unwrap(), "abc");
}

#[test]
fn nothing_follows_an_error() {
    let failed = || Err(Error::new("as told"));
    let mut body = Body::new(script([Some(Ok("a")), Some(failed()), Some(Ok("b"))]));
    assert_eq!(now(body.chunk()).unwrap().unwrap(), "a");
    assert!(now(body.chunk()).unwrap().is_err());
    assert!(now(body.chunk()).is_none());
    assert!(text(&mut body).unwrap_err().is_invalid());
}

#[test]
fn a_fetched_body_is_bounded_only_as_a_whole_and_is_nobodys_bad_request() {
    let fetched = || Body::of_response(script([Some(Ok("four")), Some(Ok("five"))]));
    let mut body = fetched();
    let error = now(body.max_body(7).text()).unwrap_err();
    assert_eq!(error.status(), None);
    assert_eq!(
        error.to_string(),
        "the body has more than 7 bytes; the limit is 7"
    );
    let mut body = fetched();
    body.max_body(7);
    assert_eq!(now(body.chunk()).unwrap().unwrap(), "four");
    assert_eq!(now(body.chunk()).unwrap().unwrap(), "five");
    let error = now(fetched().json::<u8>()).unwrap_err();
    assert_eq!(error.status(), None);
}

#[test]
fn a_long_fetched_body_is_refused_before_it_comes() {
    let long = vec![0; (16 << 20) + 1];
    let mut body = Body::of_response(http_body_of(long));
    let error = now(body.bytes()).unwrap_err().to_string();
    assert_eq!(error, "the body has 16777217 bytes; the limit is 16777216");
    let mut ours = Body::from(vec![0; (16 << 20) + 1]);
    assert!(now(ours.bytes()).is_ok());
}

/// As another crate's body, whose length is known.
fn http_body_of(bytes: Vec<u8>) -> impl HttpBody<Data = Bytes, Error = Error> {
    struct Once(Body);
    impl HttpBody for Once {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }

        fn size_hint(&self) -> SizeHint {
            HttpBody::size_hint(&self.0)
        }
    }
    Once(bytes.into())
}

#[test]
fn what_is_shown_of_a_body_is_not_its_bytes() {
    let shown = format!("{:?}", Request::post("/").body("secret").build().unwrap());
    assert!(!shown.contains("secret"));
    assert_eq!(format!("{:?}", Body::from("secret")), "Body(6 bytes)");
}
