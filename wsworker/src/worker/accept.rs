//! The way from an end of a WebSocket to the callbacks of a worker.
//! Does not run them; the worker's consumer does.

use std::sync::Arc;

use super::{Callbacks, Worker};
use crate::connection::Opener;
use crate::guard::Kept;
use crate::http::Head;
use crate::socket::{WebSocket, WebSocketEnd};

impl WebSocketEnd {
    /// As [`accept`](Self::accept), with a worker's callbacks for the events:
    /// `on_open`, `on_message`, `on_error`, `on_close`. The value is the
    /// connection's own, and its `fetch` is not called.
    ///
    /// `on_open` gets the request that the other end answered, or that
    /// `fetch` made; a bare `GET /` if both ends of a pair are
    /// accepted.
    ///
    /// # Panics
    /// As for [`accept`](Self::accept).
    #[track_caller]
    pub fn accept_with(self, worker: impl Worker) -> WebSocket {
        let worker = Kept::new(worker);
        self.accept_for(|handle, opener| Callbacks {
            worker,
            ws: WebSocket::new(handle.clone()),
            request: Some(head(opener)),
        })
    }
}

fn head(opener: Option<Opener>) -> Arc<Head> {
    let known = opener.and_then(|opener| opener.downcast::<Head>().ok());
    known.unwrap_or_else(|| Arc::new(Head::bare()))
}
