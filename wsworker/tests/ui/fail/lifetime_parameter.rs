use wsworker::prelude::*;

#[worker]
#[derive(Clone)]
struct Echo<'a>(&'a str);

impl<'a> Worker for Echo<'a> {
    async fn on_message(&mut self, ws: &WebSocket, _: Message) -> Result<()> {
        ws.send(self.0)
    }
}

fn main() {}
