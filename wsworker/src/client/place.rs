//! A client of one server under test: whatever host is asked for, it is that one.
//! Does not judge addresses, and speaks no TLS.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::connect::Failure;
use super::{Client, Redirect};
use crate::connection::{Gate, Place, Stream};
use crate::error::Result;

/// Where every connection of a client goes, and through what.
#[derive(Clone)]
pub(super) struct Way {
    place: Place,
    gate: Option<Arc<Gate>>,
}

impl Client {
    /// A client that shows a test what the server does and adds nothing of its
    /// own: redirects are given back, no connection is kept, WebSockets take
    /// messages of any size, are never full and are not pinged.
    pub(crate) fn of_place(place: Place, gate: Option<Arc<Gate>>) -> Result<Self> {
        let mut builder = Self::builder()
            .redirect(Redirect::Manual)
            .pool_idle_timeout(Duration::ZERO)
            .max_message(LARGEST)
            .max_buffered(LARGEST)
            .idle_timeout(EVER)
            .frame_timeout(EVER);
        builder.settings.place = Some(Way { place, gate });
        builder.build()
    }
}

impl Way {
    pub(super) async fn connect(&self, uri: &Uri) -> Result<Stream, Failure> {
        if uri.scheme_str() == Some("https") {
            return Err(Failure::other(
                "a server under test speaks no TLS; ask by http or ws".to_owned(),
            ));
        }
        let stream = self.place.connect(self.gate.as_ref()).await;
        stream.map_err(|e| Failure::other(e.to_string()))
    }
}

const LARGEST: usize = 1 << 30;
const EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
