//! Callbacks that fail or panic, and the last ones that run.
//! Does not treat a `fetch` that fails: `opening` does.

use wsworker::State;
use wsworker::prelude::*;

use crate::raw::{Frame, Head, RawClient};
use crate::server::{Event, Recorded, SECRET, Served, within};

async fn handler_fails(message: &str, wanted: &str) {
    let mut server = Recorded::start().await;
    let mut other = RawClient::open(server.addr).await;
    server.expect(Event::Open).await;
    let mut client = RawClient::open(server.addr).await;
    server.expect(Event::Open).await;
    client
        .send_all([
            Frame::text("before"),
            Frame::text(message),
            Frame::text("after"),
        ])
        .await;
    client.expect_text("before").await;
    let reason = client.expect_close(1011).await;
    assert!(!reason.contains(SECRET), "nothing internal: {reason}");
    client.expect_eof().await;
    server.expect(Event::text("before")).await;
    server.expect(Event::text(message)).await;
    let error = server.expect_error().await;
    assert!(error.contains(wanted), "{error}");
    server.expect_unclean(1011).await;
    // Nobody else is touched.
    other.send(Frame::text("and I?")).await;
    other.expect_text("and I?").await;
    server.expect(Event::text("and I?")).await;
    other.close().await;
    server.expect(Event::clean(1000, "")).await;
    assert_eq!(server.finish().await, []);
}

#[test]
fn a_handlers_error_closes_its_connection_with_1011() {
    within(async || handler_fails("!fail", SECRET).await);
}

#[test]
fn a_handlers_panic_closes_its_connection_with_1011() {
    within(async || handler_fails("!panic", SECRET).await);
}

async fn open_fails(path: &str) {
    let mut server = Recorded::start().await;
    let mut client = RawClient::open_at(server.addr, path).await;
    client.expect_close(1011).await;
    client.expect_eof().await;
    server.expect_error().await;
    server.expect_unclean(1011).await;
    assert_eq!(server.finish().await, []);
}

#[test]
fn an_error_in_on_open_closes_with_1011() {
    within(async || open_fails("/open-fail").await);
}

#[test]
fn a_panic_in_on_open_closes_with_1011() {
    within(async || open_fails("/open-panic").await);
}

#[test]
fn a_panic_in_on_close_touches_nobody_else() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open_at(server.addr, "/close-panic").await;
        client.send(Frame::close(1000, "")).await;
        client.expect_close(1000).await;
        client.expect_clean_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        RawClient::open(server.addr).await.close().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

#[test]
fn a_panic_in_on_error_still_reaches_on_close() {
    within(async || {
        let mut server = Recorded::start().await;
        let mut client = RawClient::open_at(server.addr, "/error-panic").await;
        client.send(Frame::text("!fail")).await;
        client.expect_close(1011).await;
        client.expect_eof().await;
        server.expect(Event::Open).await;
        server.expect(Event::text("!fail")).await;
        server.expect_error().await;
        server.expect_unclean(1011).await;
        RawClient::open(server.addr).await.close().await;
        server.expect(Event::Open).await;
        server.expect(Event::clean(1000, "")).await;
        assert_eq!(server.finish().await, []);
    });
}

/// Counts its messages and tells the count when its connection ends.
#[worker]
#[derive(Clone)]
struct Counts {
    messages: usize,
    ended: tokio::sync::mpsc::UnboundedSender<(&'static str, usize)>,
}

impl Worker for Counts {
    async fn on_message(&mut self, _ws: &WebSocket, message: Message) -> Result<()> {
        self.messages += 1;
        tokio::task::yield_now().await;
        assert!(message.as_text() != Some("!panic"), "as told");
        if message.as_text() == Some("!fail") {
            return Err(Error::new("as told"));
        }
        Ok(())
    }

    async fn on_error(&mut self, _ws: &WebSocket, _error: &Error) {
        let _ = self.ended.send(("error", self.messages));
    }

    async fn on_close(&mut self, _ws: &WebSocket, _close: CloseEvent) {
        let _ = self.ended.send(("close", self.messages));
    }
}

#[test]
fn the_last_callbacks_run_on_the_value_that_failed() {
    within(async || {
        let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let server = Served::start(Counts { messages: 0, ended }).await;
        for last in ["!fail", "!panic"] {
            let mut client = RawClient::open(server.addr).await;
            client.send_all([Frame::text("a"), Frame::text(last)]).await;
            client.expect_close(1011).await;
            assert_eq!(ends.recv().await, Some(("error", 2)));
            assert_eq!(ends.recv().await, Some(("close", 2)));
        }
    });
}

/// Says what its socket is like when its connection ends.
#[worker]
#[derive(Clone)]
struct Last {
    said: tokio::sync::mpsc::UnboundedSender<(State, bool, bool)>,
}

impl Worker for Last {
    async fn on_message(&mut self, _ws: &WebSocket, _message: Message) -> Result<()> {
        Ok(())
    }

    async fn on_close(&mut self, ws: &WebSocket, _close: CloseEvent) {
        let refused = ws.send("late").is_err_and(|error| error.is_closed());
        let _ = self.said.send((ws.state(), refused, ws.close().is_ok()));
    }
}

#[test]
fn the_socket_is_closed_when_on_close_runs() {
    within(async || {
        let (said, mut saying) = tokio::sync::mpsc::unbounded_channel();
        let server = Served::start(Last { said }).await;
        RawClient::open(server.addr).await.close().await;
        assert_eq!(saying.recv().await, Some((State::Closed, true, true)));
        drop(RawClient::open(server.addr).await);
        assert_eq!(saying.recv().await, Some((State::Closed, true, true)));
    });
}

/// Its drop panics, but not the prototype's.
#[worker]
#[derive(Clone)]
struct FailsToDrop {
    used: bool,
}

impl Worker for FailsToDrop {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        self.used = true;
        match req.path() {
            "/page" => Ok(Response::text("a page")),
            _ => Ok(req.upgrade()?.accept()),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        match message.as_text() {
            Some("!fail") => Err(Error::new("as told")),
            _ => ws.send(message),
        }
    }
}

impl Drop for FailsToDrop {
    fn drop(&mut self) {
        assert!(!self.used, "as told");
    }
}

#[test]
fn a_worker_whose_drop_panics_ends_its_connection_as_any_other() {
    within(async || {
        let mut server = Served::start(FailsToDrop { used: false }).await;
        let mut other = RawClient::open(server.addr).await;
        let mut client = RawClient::open(server.addr).await;
        client
            .send_all([Frame::text("last"), Frame::close(4001, "bye")])
            .await;
        client.expect_text("last").await;
        assert_eq!(client.expect_close(4001).await, "bye");
        client.expect_clean_eof().await;
        let mut client = RawClient::open(server.addr).await;
        client.send(Frame::text("!fail")).await;
        client.expect_close(1011).await;
        client.expect_eof().await;
        // A request's worker too, when it was answered and when it was not.
        let mut client = RawClient::connect(server.addr).await;
        for (path, status) in [("/page", 200), ("/", 426)] {
            let head = Head::get(path, client.host());
            client.send_raw(head.encode()).await;
            assert_eq!(client.read_response().await.status, status);
        }
        drop(client);
        other.send(Frame::text("and I?")).await;
        other.expect_text("and I?").await;
        other.close().await;
        server.shut_down().await;
    });
}
