use wsworker::prelude::*;

#[worker]
#[cfg(any())]
#[derive(Clone)]
struct Absent;

#[worker]
#[cfg(all())]
#[derive(Clone)]
struct Present;

#[cfg_attr(all(), worker(slow = "drop"))]
#[derive(Clone)]
struct ByAttribute;

impl Worker for Present {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

impl Worker for ByAttribute {
    async fn on_message(&mut self, ws: &WebSocket, message: Message) -> Result<()> {
        ws.send(message)
    }
}

fn main() {
    let _ = (Server::new(Present), Server::new(ByAttribute));
}
