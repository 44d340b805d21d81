//! The server that judges, and a socket to it that says what is not as it should be.

use std::time::Duration;

use wsworker::prelude::*;
use wsworker::{ClientBuilder, WebSocketEvents};

/// With this reason a server closes what it has no way to do.
pub const CANNOT: &str = "not with this server";

/// One server, over TCP or over TLS.
pub struct Peer {
    url: String,
    /// Whom to trust, in PEM.
    root: String,
}

impl Peer {
    pub fn plain() -> Result<Self> {
        Self::at(format!("ws://{}", var("PEER_ADDR")?))
    }

    pub fn secure() -> Result<Self> {
        Self::at(format!("wss://{}", var("PEER_SECURE_ADDR")?))
    }

    fn at(url: String) -> Result<Self> {
        let root = std::fs::read_to_string(var("SECURE_CA")?)?;
        Ok(Self { url, root })
    }

    pub fn scheme(&self) -> &str {
        self.url.split(':').next().unwrap_or_default()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// A client that trusts it.
    pub fn client(&self) -> ClientBuilder {
        Client::builder()
            .root_certificate(&self.root)
            .max_message(32 << 20)
    }

    pub async fn open(&self, path: &str) -> Result<Socket> {
        self.open_with(self.client(), self.get(path)).await
    }

    pub async fn open_with(
        &self,
        client: ClientBuilder,
        request: impl Into<Request>,
    ) -> Result<Socket> {
        let response = client.build()?.fetch(request).await?;
        Ok(Socket(response.into_websocket()?.accept()))
    }

    pub fn get(&self, path: &str) -> wsworker::RequestBuilder {
        Request::get(self.url(path))
    }
}

pub struct Socket(pub WebSocketEvents);

impl Socket {
    /// The next event, which must be a message.
    pub async fn message(&mut self) -> Result<Message> {
        match self.0.next().await {
            Some(Event::Message(message)) => Ok(message),
            Some(Event::Close(close)) => Err(Error::new(format!("closed with {close}"))),
            other => Err(Error::new(format!("no message but {other:?}"))),
        }
    }

    /// The next event, which must be this message.
    pub async fn hears(&mut self, wanted: impl Into<Message>) -> Result<()> {
        equal(self.message().await?, wanted.into())
    }

    pub async fn echoes(&mut self, message: impl Into<Message>) -> Result<()> {
        let message = message.into();
        self.0.send(&message)?;
        self.hears(message).await
    }

    /// The next event, which must be the close, and the last one.
    pub async fn closed(&mut self) -> Result<CloseEvent> {
        let Some(Event::Close(close)) = self.0.next().await else {
            return Err(Error::new("an event that is no close"));
        };
        equal(self.0.next().await.is_some(), false)?;
        Ok(close)
    }

    /// Closes, and wants a clean end.
    pub async fn end(mut self) -> Result<()> {
        self.0.close_with(CloseCode::NORMAL, "")?;
        let close = self.closed().await?;
        equal((close.code, close.was_clean), (1000, true))
    }
}

pub fn equal<T: PartialEq + std::fmt::Debug>(seen: T, wanted: T) -> Result<()> {
    match seen == wanted {
        true => Ok(()),
        false => Err(Error::new(format!("wanted {wanted:?}, got {seen:?}"))),
    }
}

pub fn var(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| Error::new(format!("{name} is not set: run tests/peers/run")))
}

pub const SHORT: Duration = Duration::from_millis(400);
