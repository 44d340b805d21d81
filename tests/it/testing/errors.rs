//! Errors of a worker whose own text fails.

use std::fmt;

use wsworker::prelude::*;
use wsworker::testing::{TestServer, Via};

/// Fails with an error that cannot say what it is.
#[worker]
#[derive(Clone)]
struct Mute;

impl Worker for Mute {
    async fn fetch(&mut self, req: Request, _: &Env) -> Result<Response> {
        match req.is_upgrade() {
            true => Ok(req.upgrade()?.accept()),
            false => Err(Wordless.into()),
        }
    }

    async fn on_message(&mut self, _: &WebSocket, _: Message) -> Result<()> {
        Err(Wordless.into())
    }
}

#[derive(Debug)]
struct Wordless;

impl std::error::Error for Wordless {}

impl fmt::Display for Wordless {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("as the test wants")
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_text_panics_is_a_500_and_a_1011_like_any_other() {
    let server = TestServer::start(Mute, Via::Memory).await.unwrap();
    let mut answered = server.fetch("/").await.unwrap();
    assert_eq!(answered.status(), 500);
    let text = answered.text().await.unwrap();
    assert!(text.contains("error id: "), "{text}");
    let mut ws = server.connect("/").await.unwrap();
    ws.send("hello").unwrap();
    assert_eq!(ws.closed().await.unwrap().code, 1011);
}
