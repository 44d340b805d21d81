use wsworker::prelude::*;

use std::sync::Arc;

#[worker]
#[derive(Clone)]
struct Greeter(pub Arc<str>, u64);

impl Worker for Greeter {
    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        self.1 += 1;
        ws.send(format!("{} {}", self.0, self.1))
    }
}

fn main() {
    let _ = Server::new(Greeter("hello".into(), 0));
}
