use wsworker::prelude::*;

#[worker(
    max_message = 65_536,
    max_buffered = "4 MiB",
    slow = "drop",
    failed = "keep",
    idle_timeout = "1m 30s",
    handshake_timeout = "500ms",
    protocols("chat.v2", "chat.v1"),
    origins("https://a.example", "http://localhost:3000",),
    crate = "::wsworker"
)]
#[derive(Clone)]
struct Echo;

impl Worker for Echo {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let options = <Echo as wsworker::__private::Annotated>::OPTIONS;
    assert_eq!(options.max_message, Some(65536));
    assert_eq!(options.max_buffered, Some(4 * 1024 * 1024));
    assert_eq!(
        options.idle_timeout,
        Some(std::time::Duration::from_secs(90))
    );
    assert_eq!(
        options.handshake_timeout,
        Some(std::time::Duration::from_millis(500))
    );
    assert!(matches!(
        options.slow,
        Some(wsworker::__private::Slow::Drop)
    ));
    assert!(options.keeps_failed);
    assert_eq!(options.protocols, ["chat.v2", "chat.v1"]);
    assert_eq!(
        options.origins,
        ["https://a.example", "http://localhost:3000"]
    );
    let _ = Server::new(Echo);
}
