//! README's test of a worker, word for word.

use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

// README begins.
// At the end of the worker's file.
#[cfg(test)]
mod tests {
    use super::*;
    use wsworker::testing::{TestServer, Via};

    #[tokio::test(start_paused = true)]
    async fn it_echoes() -> Result<()> {
        let server = TestServer::start(Echo, Via::Memory).await?;
        let mut ws = server.connect("/").await?;
        ws.send("hello")?;
        assert_eq!(ws.text().await?, "hello");
        server.shutdown().await?;
        assert_eq!(ws.closed().await?.code, 1001);
        Ok(())
    }
}
// README ends.

#[test]
fn readme_shows_this_test() {
    let (_, rest) = include_str!("readme.rs")
        .split_once("// README begins.\n")
        .unwrap();
    let (shown, _) = rest.split_once("// README ends.\n").unwrap();
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&format!("```rust,ignore\n{shown}```")));
}
