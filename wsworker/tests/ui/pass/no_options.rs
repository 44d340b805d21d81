use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Plain;

impl Worker for Plain {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

#[worker()]
#[derive(Clone)]
struct Empty;

impl Worker for Empty {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let options = <Plain as wsworker::__private::Annotated>::OPTIONS;
    assert!(options.max_message.is_none() && options.slow.is_none());
    assert!(options.protocols.is_empty() && options.origins.is_empty());
    let _ = (Server::new(Plain), Server::new(Empty));
}
