use wsworker::prelude::*;

#[worker]
async fn echo(ws: &WebSocket, message: Message) -> Result<()> {
    ws.send(message)
}

fn main() {}
