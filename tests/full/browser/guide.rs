//! The guide's client for browsers, line by line, on a page of its own.

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use wsworker::prelude::*;

use crate::chromium::browse;
use crate::server::Served;

/// The page and its socket, at one URL as in the guide.
#[worker]
#[derive(Clone)]
struct Guide {
    seen: UnboundedSender<String>,
}

impl Worker for Guide {
    async fn fetch(&mut self, req: Request, _env: &Env) -> Result<Response> {
        if req.is_upgrade() {
            return Ok(req.upgrade()?.accept());
        }
        Ok(Response::html(include_str!("guide.html")))
    }

    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        let text = message.as_text().unwrap_or("no text");
        self.seen.send(text.to_owned())?;
        ws.send(format!("you said {text}"))
    }

    async fn on_close(&mut self, _ws: &WebSocket, close: CloseEvent) {
        let close = format!("closed {} {}", close.code, close.was_clean);
        let _ = self.seen.send(close);
    }
}

#[test]
fn the_guides_client_works() {
    browse(async |browser| {
        let (sender, mut seen) = unbounded_channel();
        let guide = Guide { seen: sender };
        let served = Served::start_with(guide, |server| match browser.secure {
            true => server.tls(browser.tls.clone()),
            false => server,
        })
        .await;
        browser.goto(&browser.url("http", served.addr)).await;
        // `close()` sends no code, which is 1005 for both.
        let shown = "open\nmessage you said MESSAGE\nclose 1005 true";
        browser.shows("ol", shown).await;
        assert_eq!(seen.recv().await.unwrap(), "MESSAGE");
        assert_eq!(seen.recv().await.unwrap(), "closed 1005 true");
        let console = browser.console().await;
        for wanted in ["\"Message received from server\"", "\"you said MESSAGE\""] {
            let logged = console.iter().any(|line| line.ends_with(wanted));
            assert!(logged, "no {wanted} in {console:#?}");
        }
    });
}
