use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo<T>(T);

impl<T> Worker for Echo<T> {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {}
