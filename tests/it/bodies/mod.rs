//! Bodies of requests and responses, as bytes on a connection.
//! Does not treat what is no HTTP: a refused head is `opening`'s.

mod down;
mod limits;
mod plain;
mod site;
mod up;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use wsworker::prelude::*;

use crate::raw::{DEADLINE, RawClient};
use crate::server::Served;

/// A deadline so short that a test can wait for it.
const SHORT: Duration = Duration::from_millis(300);

/// What a worker does with bodies, by the path.
#[worker]
#[derive(Clone)]
struct Bodies {
    /// What happened, in words.
    told: UnboundedSender<String>,
    /// What `/stream` sends.
    source: Arc<Mutex<Option<Source>>>,
}

#[derive(Serialize, Deserialize)]
struct Person {
    name: String,
    age: u8,
}

impl Bodies {
    fn tell(&self, what: impl Into<String>) {
        // The test may have ended already.
        let _ = self.told.send(what.into());
    }
}

impl Worker for Bodies {
    async fn fetch(&mut self, mut req: Request, _env: &Env) -> Result<Response> {
        match req.path() {
            "/text" => Ok(Response::text(req.text().await?)),
            "/length" => Ok(Response::text(req.bytes().await?.len().to_string())),
            "/json" => {
                let person: Person = req.json().await?;
                Response::json(&person)
            }
            "/form" => {
                let person: Person = req.form().await?;
                Ok(Response::text(format!("{} is {}", person.name, person.age)))
            }
            "/chunks" => {
                let mut body = req.into_body();
                let mut length = 0;
                while let Some(chunk) = body.chunk().await {
                    length += chunk?.len();
                }
                Ok(Response::text(length.to_string()))
            }
            "/large" => {
                let bytes = req.max_body(4 << 20).bytes().await?;
                Ok(Response::text(bytes.len().to_string()))
            }
            "/slowly" => {
                let mut body = req.into_body();
                let mut length = 0;
                while let Some(chunk) = body.chunk().await {
                    length += chunk?.len();
                    sleep(SHORT * 2).await;
                }
                Ok(Response::text(length.to_string()))
            }
            "/told" => {
                self.tell("reads");
                let read = req.text().await;
                self.tell(format!("{read:?}"));
                Ok(Response::text(read?))
            }
            "/later" => {
                let (told, mut body) = (self.clone(), req.into_body());
                tokio::spawn(async move { told.tell(format!("{:?}", body.text().await)) });
                Ok(Response::text("early"))
            }
            "/twice" => {
                req.text().await?;
                Ok(Response::text(req.text().await?))
            }
            "/mirror" => Ok(Response::stream(req.into_body())),
            "/stream" => {
                let source = self
                    .source
                    .lock()
                    .unwrap()
                    .take()
                    .expect("one stream a test");
                Ok(Response::stream(source))
            }
            "/stream-of-9" => {
                let source = self
                    .source
                    .lock()
                    .unwrap()
                    .take()
                    .expect("one stream a test");
                Ok(Response::stream(source).header("Content-Length", "9"))
            }
            "/endless" => Ok(Response::stream(Endless(self.clone()))),
            "/page" => Ok(Response::html("<p>a page</p>")
                .cookie(("a", "1"))
                .cookie(("b", "2"))),
            "/none" => Response::new(204),
            "/same" => Response::text("left out").with_status(304),
            "/there" => Response::redirect("/page", 303),
            "/uri" => Ok(Response::text(req.uri().to_string())),
            "/url" => Ok(Response::text(req.url())),
            "/ws" => Ok(req.upgrade()?.accept()),
            _ => Ok(Response::text("unread")),
        }
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

/// A stream that a test feeds; it tells when it is dropped.
struct Source {
    chunks: UnboundedReceiver<Result<Bytes>>,
    told: UnboundedSender<String>,
}

impl Stream for Source {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let polled = self.chunks.poll_recv(cx);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            assert!(chunk != "panic", "as told");
        }
        polled
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.told.send("the stream is dropped".into());
    }
}

/// Chunks of 16 KiB without end; each is told.
struct Endless(Bodies);

impl Stream for Endless {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.tell("a chunk");
        Poll::Ready(Some(Ok(vec![b'x'; 16 << 10])))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.tell("the stream is dropped");
    }
}

/// A served [`Bodies`], what it tells, and what its stream sends.
struct Site {
    served: Served,
    told: UnboundedReceiver<String>,
    feed: Option<UnboundedSender<Result<Bytes>>>,
}

impl Site {
    async fn start() -> Site {
        Site::start_with(|server| server).await
    }

    async fn start_with(configure: impl FnOnce(Server) -> Server) -> Site {
        let (tell, told) = unbounded_channel();
        let (feed, chunks) = unbounded_channel();
        let source = Source {
            chunks,
            told: tell.clone(),
        };
        let worker = Bodies {
            told: tell,
            source: Arc::new(Mutex::new(Some(source))),
        };
        Site {
            served: Served::start_with(worker, configure).await,
            told,
            feed: Some(feed),
        }
    }

    async fn connect(&self) -> RawClient {
        RawClient::connect(self.served.addr).await
    }

    fn feed(&self, chunk: impl Into<Bytes>) {
        let feed = self.feed.as_ref().expect("it has not ended");
        feed.send(Ok(chunk.into())).expect("the stream is dropped");
    }

    fn fail(&self, why: &'static str) {
        let feed = self.feed.as_ref().expect("it has not ended");
        feed.send(Err(Error::new(why)))
            .expect("the stream is dropped");
    }

    fn end(&mut self) {
        self.feed = None;
    }

    async fn told(&mut self) -> String {
        let told = timeout(DEADLINE, self.told.recv()).await;
        told.expect("nothing is told").expect("no worker is left")
    }

    async fn expect_told(&mut self, wanted: &str) {
        let told = self.told().await;
        assert!(told.contains(wanted), "wanted {wanted:?}, got {told:?}");
    }
}
